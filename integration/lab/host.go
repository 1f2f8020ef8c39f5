package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is one network namespace.
type Host struct {
	Name   string
	handle netns.NsHandle
	net    *netlink.Handle // links, addresses and routes
	calls  chan func()     // run on the host's own thread
}

// NewHost makes a namespace with lo up and IPv6 addresses usable at once.
func NewHost(name string) (*Host, error) {
	h := &Host{Name: name, handle: netns.None(), calls: make(chan func())}
	ready := make(chan error)
	go h.live(ready)
	if err := <-ready; err != nil {
		h.Close()
		return nil, fmt.Errorf("make namespace %s (root?): %w", name, err)
	}
	return h, nil
}

// Close ends the host, its links, and the processes started on it.
func (h *Host) Close() {
	if h.net != nil {
		h.net.Close()
	}
	if h.handle.IsOpen() {
		h.handle.Close()
	}
	close(h.calls)
}

// live is the host's own thread, started by NewHost and ended by Close. When it ends, the
// processes that it started end too: PR_SET_PDEATHSIG follows the thread that forked. It
// never unlocks the thread, so the runtime ends it: no other goroutine may get a thread in
// this namespace.
func (h *Host) live(ready chan<- error) {
	runtime.LockOSThread()
	ready <- h.setUp()
	for call := range h.calls {
		call()
	}
}

func (h *Host) setUp() (err error) {
	if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if h.handle, err = netns.Get(); err != nil {
		return err
	}
	if h.net, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, scope := range []string{"all", "default"} { // no duplicate address detection: no second of waiting
		if err := writeSysctl("net/ipv6/conf/"+scope+"/accept_dad", "0"); err != nil {
			return err
		}
	}
	return h.net.LinkSetUp(lo)
}

func writeSysctl(key, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0)
}

// Sysctl writes keys, such as "net/ipv4/ip_forward", of the host.
func (h *Host) Sysctl(values map[string]string) error {
	return h.Do(func() error {
		for key, value := range values {
			if err := writeSysctl(key, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Do runs fn on a thread inside the namespace. Sockets made there stay there and
// can be used from anywhere afterwards. The thread ends with fn.
func (h *Host) Do(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(h.handle); err != nil {
			done <- fmt.Errorf("enter %s: %w", h.Name, err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// Start starts a process on the host's own thread. It is killed when the host ends.
func (h *Host) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	h.calls <- func() { done <- cmd.Start() }
	return <-done
}

// Mount mounts a file system that only processes started afterwards on this host see.
func (h *Host) Mount(kind, dir string, options ...string) error {
	return h.mount(kind, dir, kind, 0, strings.Join(options, ","))
}

// Bind makes such processes see one file in place of another.
func (h *Host) Bind(file, over string) error { return h.mount(file, over, "", unix.MS_BIND, "") }

func (h *Host) mount(source, target, kind string, flags uintptr, options string) error {
	done := make(chan error)
	h.calls <- func() { done <- mount(source, target, kind, flags, options) }
	return <-done
}

// mount gives the thread its own view of the mounts, which ends with its processes.
func mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	return os.NewSyscallError("mount", unix.Mount(source, target, kind, flags, options))
}

// Run runs a command to its end; what it printed is in the error.
func (h *Host) Run(name string, args ...string) error {
	return h.Do(func() error {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %s %v: %w: %s", h.Name, name, args, err, out)
		}
		return nil
	})
}

// FD is the namespace as a file descriptor, valid until Close.
func (h *Host) FD() int { return int(h.handle) }
