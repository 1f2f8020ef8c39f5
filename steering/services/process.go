package services

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/host"
)

// descriptor is a file descriptor of a process.
type descriptor struct{ pid, fd int }

// owned is the sockets of a service that listen, or may receive datagrams, and who holds each.
type owned struct {
	sockets []host.Socket
	holders map[uint32]descriptor // by inode
	others  []descriptor          // sockets that sock_diag(7) does not list as listeners: MPTCP may be among them
}

// find reads the sockets of the processes that are in the network namespace of this thread. It needs CAP_SYS_PTRACE
// for processes of other users.
func find(service string, pids []int) (owned, error) {
	o := owned{holders: map[uint32]descriptor{}}
	here, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil || len(pids) == 0 {
		return o, err
	}
	inodes, elsewhere := map[uint32]descriptor{}, 0
	for _, pid := range slices.Backward(slices.Sorted(slices.Values(pids))) { // of several, the parent has a socket the longest
		if unstarted(pid, manager) {
			continue
		}
		switch there, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); {
		case errors.Is(err, os.ErrPermission):
			return o, notShown(service, pid)
		case err == nil && there != here:
			elsewhere++
		case err == nil:
			addSockets(inodes, pid)
		}
	}
	if elsewhere > 0 && len(inodes) == 0 {
		return o, fmt.Errorf("%s %w (pid %d), whose sockets get no packets of this one: run anyport there, or the service here", service, ErrNamespace, pids[0])
	}
	if len(inodes) == 0 {
		return o, nil
	}
	all, err := host.Sockets()
	if err != nil {
		return o, err
	}
	for _, s := range all {
		if holder, ok := inodes[s.Inode]; ok {
			o.sockets, o.holders[s.Inode] = append(o.sockets, s), holder
			delete(inodes, s.Inode)
		}
	}
	for _, holder := range inodes {
		o.others = append(o.others, holder)
	}
	return o, nil
}

// notShown is the error of a process that this one may not look into.
func notShown(service string, pid int) error {
	return fmt.Errorf("%s %w (pid %d), and this process has no CAP_SYS_PTRACE to find its sockets: restart anyport, which keeps it if the file has a route with action = \"socket\" at the start", service, ErrNotShown, pid)
}

// addSockets notes the sockets of pid by their inode. Descriptors come and go meanwhile.
func addSockets(inodes map[uint32]descriptor, pid int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) {
		probeSockets(inodes, pid)
		return
	}
	for _, entry := range entries {
		inode, isSocket := host.SocketInode(filepath.Join(dir, entry.Name()))
		if fd, err := strconv.Atoi(entry.Name()); isSocket && err == nil {
			inodes[inode] = descriptor{pid, fd}
		}
	}
}

// probeSockets is addSockets with CAP_SYS_PTRACE only: that lets a process copy any descriptor of another user's
// process, but the directory fd belongs to that user, and to list it requires CAP_DAC_READ_SEARCH too.
func probeSockets(inodes map[uint32]descriptor, pid int) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(pidfd)
	for n := range tableSize(pid) {
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ESRCH) {
			return
		}
		if err != nil {
			continue
		}
		var stat unix.Stat_t
		if unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFSOCK {
			inodes[uint32(stat.Ino)] = descriptor{pid, n}
		}
		unix.Close(fd)
	}
}

// tableSize is above every descriptor of a process: FDSize of proc_pid_status(5), which anybody may read.
func tableSize(pid int) (size int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if number, ok := strings.CutPrefix(line, "FDSize:"); ok {
			size, _ = strconv.Atoi(strings.TrimSpace(number))
		}
	}
	return size
}

// copy returns a descriptor of this process for the same file.
func (d descriptor) copy() (int, error) {
	pidfd, err := unix.PidfdOpen(d.pid, 0)
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", d.pid, err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, d.fd, 0)
	if err != nil {
		return -1, fmt.Errorf("copy a socket of process %d, which needs CAP_SYS_PTRACE: %w", d.pid, err)
	}
	return fd, nil
}

// holds reports whether the process still has the socket of that inode open there. If it cannot be known, it does.
func (d descriptor) holds(inode uint32) bool {
	pidfd, err := unix.PidfdOpen(d.pid, 0)
	if err != nil {
		return !errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, d.fd, 0)
	if err != nil {
		return !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EBADF)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) != nil || stat.Ino == uint64(inode)
}

// copySocket is copy for the socket of that inode; the process may have closed it and opened another file since.
func (d descriptor) copySocket(inode uint32) (int, error) {
	fd, err := d.copy()
	if err != nil {
		return -1, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || stat.Ino != uint64(inode) {
		return -1, errors.Join(errors.New("the process has closed the socket"), unix.Close(fd))
	}
	return fd, nil
}

// option reads a socket option of SOL_SOCKET.
func (d descriptor) option(name int) (int, error) {
	fd, err := d.copy()
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.GetsockoptInt(fd, unix.SOL_SOCKET, name)
}

// isMPTCPListener looks at the socket itself: sock_diag(7) lists those of MPTCP apart, or as TCP.
func (d descriptor) isMPTCPListener() bool {
	protocol, err := d.option(unix.SO_PROTOCOL)
	if err != nil || protocol != unix.IPPROTO_MPTCP {
		return false
	}
	listens, err := d.option(unix.SO_ACCEPTCONN)
	return err == nil && listens == 1
}

// steerable returns those of found that are not of MPTCP. Newer kernels list the subflow that stands for such a
// listener, with the inode of the listener itself.
func (o owned) steerable(service string, found []host.Socket) (plain []host.Socket, err error) {
	for _, s := range found {
		if holder := o.holders[s.Inode]; s.Protocol == config.TCP && holder.isMPTCPListener() {
			err = notSteerable(service, holder.pid)
			continue
		}
		plain = append(plain, s)
	}
	if len(plain) > 0 {
		err = nil
	}
	return plain, err
}

// mptcp says that o listens with MPTCP only, if it does, on kernels that do not list its listeners.
func (o owned) mptcp(service string) error {
	for _, d := range o.others {
		if d.isMPTCPListener() {
			return notSteerable(service, d.pid)
		}
	}
	return nil
}

// notSteerable is the error of a listener that a SOCKHASH refuses.
func notSteerable(service string, pid int) error {
	return fmt.Errorf("%s %w (pid %d), and the kernel steers nothing to such a socket (EOPNOTSUPP): have it listen with TCP, a program in Go by GODEBUG=multipathtcp=0 in its environment", service, ErrMPTCP, pid)
}
