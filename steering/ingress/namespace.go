package ingress

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Namespace is the network namespace of the thread that has called OpenNamespace.
type Namespace struct{ file *os.File }

// OpenNamespace holds the namespace of this thread, for threads that are in another one.
func OpenNamespace() (Namespace, error) {
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return Namespace{}, fmt.Errorf("open this network namespace: %w", err)
	}
	return Namespace{file}, nil
}

// Close may be called twice.
func (n *Namespace) Close() {
	if n.file != nil {
		_ = n.file.Close()
	}
	n.file = nil
}

// Within runs do on a thread that is in the namespace: to the kernel an interface index is one of the
// thread's namespace. Only tests have threads in several, and the privilege to move between them.
func (n Namespace) Within(do func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("open this network namespace: %w", err)
	}
	defer here.Close()
	if same, err := sameFile(here, n.file); err != nil || same {
		if err != nil {
			return err
		}
		return do()
	}
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Setns(int(here.Fd()), unix.CLONE_NEWNET)) }()
	return do()
}

func sameFile(a, b *os.File) (bool, error) {
	x, err := a.Stat()
	if err != nil {
		return false, err
	}
	y, err := b.Stat()
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}
