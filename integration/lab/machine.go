package lab

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed boot.sh
var bootScript string

// Machine is a real systemd as pid 1 of namespaces of its own, on a host's network. It has
// this machine's programs, and no services but those that it is given.
//
// It does what systemd-nspawn would do. nspawn would need many exceptions to keep the
// network namespace of a host, bpf(2) and the capabilities for it.
type Machine struct {
	init   *exec.Cmd
	cgroup string
}

// Boot boots a machine on h. root is an empty directory, etc has the files of its /etc, and
// program is the only file of its /usr/local/bin. The caller must Close it.
func (h *Host) Boot(root, etc, program string) (*Machine, error) {
	cgroup, err := newCgroup(h.Name)
	if err != nil {
		return nil, err
	}
	defer cgroup.Close()
	m := &Machine{cgroup: cgroup.Name()}
	m.init = exec.Command("unshare", "--cgroup", "sh", "-c", bootScript, "boot.sh", root, etc, program)
	m.init.Stdout, m.init.Stderr = os.Stderr, os.Stderr
	m.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		UseCgroupFD: true, CgroupFD: int(cgroup.Fd()),
	}
	if err := h.Start(m.init); err != nil {
		return nil, errors.Join(err, os.Remove(m.cgroup))
	}
	return m, m.await()
}

// newCgroup makes a cgroup for a machine at the top of the tree, outside of any limits.
func newCgroup(name string) (*os.File, error) {
	mounts, err := exec.Command("findmnt", "--noheadings", "--first-only", "--output", "TARGET", "--types", "cgroup2").Output()
	if err != nil {
		return nil, fmt.Errorf("find where cgroup2 is mounted: %w", err)
	}
	dir, err := os.MkdirTemp(string(mounts[:len(mounts)-1]), "lab-"+name+"-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // as the top of the tree is
		return nil, err
	}
	return os.Open(dir)
}

// bootPatience bounds the time from clone(2) to a systemd that accepts commands.
const bootPatience = 30 * time.Second

func (m *Machine) await() error {
	var out []byte
	err := errors.New("no time")
	for begun := time.Now(); err != nil && time.Since(begun) < bootPatience; time.Sleep(50 * time.Millisecond) {
		out, err = m.Run("systemctl", "show", "--property=Version")
	}
	if err != nil {
		m.Close()
		return fmt.Errorf("systemd does not come up: %w: %s", err, out)
	}
	return nil
}

// Run runs a command on the machine to its end, and returns what it printed.
func (m *Machine) Run(name string, args ...string) ([]byte, error) {
	enter := []string{"--target", strconv.Itoa(m.init.Process.Pid), "--mount", "--net", "--pid", "--cgroup", "--wd=/", "--", "env", "-i",
		"PATH=/usr/local/bin:/usr/bin:/usr/sbin", "SYSTEMD_PAGER=", name}
	return exec.Command("nsenter", append(enter, args...)...).CombinedOutput()
}

// Close ends all processes of the machine: the kernel ends them with its pid 1.
func (m *Machine) Close() {
	_ = m.init.Process.Kill()
	_ = m.init.Wait()
	var groups []string
	_ = filepath.WalkDir(m.cgroup, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	for i := len(groups) - 1; i >= 0; i-- { // the innermost first
		_ = unix.Rmdir(groups[i])
	}
}
