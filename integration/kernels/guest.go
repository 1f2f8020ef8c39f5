package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"

	"golang.org/x/sys/unix"
)

// resultMark begins a line of the console that is ours.
const resultMark = "@@ "

// inGuest runs in the guest, from its start to its end. Process 1 only reaps orphaned
// processes, because tests wait for their end.
func inGuest(repository string, short bool, ports string, which *regexp.Regexp) error {
	if os.Getpid() != 1 {
		return takeSteps(repository, short, ports, which)
	}
	if err := prepare(); err != nil {
		fmt.Println("prepare the guest:", err)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root"}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if pid == cmd.Process.Pid || err == unix.ECHILD {
			unix.Sync()
			return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		}
	}
}

// prepare mounts what a running system has, and raises the limits as systemd does for root.
func prepare() error {
	for _, m := range []struct{ kind, dir string }{
		{"sysfs", "/sys"}, {"bpf", "/sys/fs/bpf"}, {"cgroup2", "/sys/fs/cgroup"}, {"tracefs", "/sys/kernel/tracing"},
		{"tmpfs", "/run"}, {"tmpfs", "/dev/shm"},
	} {
		os.MkdirAll(m.dir, 0o755)
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	for link, to := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "fd/0", "/dev/stdout": "fd/1", "/dev/stderr": "fd/2"} {
		if err := os.Symlink(to, link); err != nil && !os.IsExist(err) {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("1"), 0); err != nil {
		return err
	}
	if err := os.Chmod("/run", 0o1777); err != nil { // the tests' TMPDIR, of any user
		return err
	}
	files := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if err := exec.Command("modprobe", "tun").Run(); err != nil {
		return fmt.Errorf("modprobe tun: %w", err)
	}
	if err := os.Chmod("/dev/net/tun", 0o666); err != nil { // as udev does
		return err
	}
	return exec.Command("ip", "link", "set", "lo", "up").Run()
}

// takeSteps runs the steps one after the other and reports each to the host.
func takeSteps(repository string, short bool, ports string, which *regexp.Regexp) error {
	if err := os.Chdir(repository); err != nil {
		return err
	}
	all, err := steps(short, ports)
	if err != nil {
		return err
	}
	for _, s := range all {
		if !which.MatchString(s.name + " as " + s.as) {
			continue
		}
		text, err := json.Marshal(s.take())
		if err != nil {
			return err
		}
		fmt.Printf("\n%s%s\n", resultMark, text)
	}
	fmt.Println(resultMark + "end")
	return nil
}
