# boot.sh ROOT ETC PROGRAM: become systemd, with a root of its own at the directory ROOT.
#
# It runs in new pid, mount, uts and ipc namespaces. Of this machine that root has /usr,
# read-only, and a few harmless devices; nothing of /etc, so that none of its services is
# started, and no sysctl can be written. Its /etc has what stands in the directory ETC, its
# /usr/local/bin only PROGRAM.
set -e
root=$1 etc=$2 program=$3

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p dev etc/systemd/system home old proc root run sys tmp usr var/log var/tmp
ln -s /run var/run
for link in bin lib lib32 lib64 libx32 sbin; do
	[ ! -L "/$link" ] || cp -P "/$link" .
done
cp /usr/lib/os-release etc/os-release
echo 0123456789abcdef0123456789abcdef >etc/machine-id

mount --bind /usr usr
mount -o remount,bind,ro usr
mount -t tmpfs tmpfs usr/local/bin
: >"usr/local/bin/${program##*/}"
mount --bind "$program" "usr/local/bin/${program##*/}"
for unit in sysinit.target basic.target shutdown.target multi-user.target network-online.target \
	systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket; do
	cp "/usr/lib/systemd/system/$unit" etc/systemd/system/
done
mount -t tmpfs tmpfs usr/lib/systemd/system # the units above are all there are
cp -r "$etc/." etc

mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=0700 bpf sys/fs/bpf

mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/hugepages dev/mqueue dev/net dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for device in null zero full random urandom tty; do
	: >"dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
mknod -m 666 dev/net/tun c 10 200 # as udev has it

pivot_root . old
cd /
umount -l old
rmdir old
exec env -i container=lab PATH=/usr/local/bin:/usr/bin:/usr/sbin \
	/lib/systemd/systemd --log-target=journal --unit=systemd-journald.service </dev/null
