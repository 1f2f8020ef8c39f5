package privileges

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Act has what open and create files as the account may, on a thread of its own. Where
// this process is another user, it must be root.
func (a *Account) Act(what func() error) error {
	if a.UID == os.Geteuid() {
		return what()
	}
	done := make(chan error)
	go func() { // ends after what, and its thread with it, which no other goroutine may get
		runtime.LockOSThread()
		if err := a.enter(); err != nil {
			done <- err
			return
		}
		done <- what()
	}()
	return <-done
}

// enter makes this thread's file system user the account. From root, the kernel takes the
// capabilities that override permissions from the thread by that (capabilities(7)).
func (a *Account) enter() error {
	err := unix.Setgroups(a.Groups) // of this thread alone
	if err == nil {
		err = unix.Setfsgid(a.GID)
	}
	if err == nil {
		err = unix.Setfsuid(a.UID)
	}
	if now, _ := unix.SetfsuidRetUid(-1); err == nil && now != a.UID {
		err = unix.EPERM // setfsuid(2) reports no error
	}
	if err != nil {
		return fmt.Errorf("open files as user %d: %w: run as root", a.UID, err)
	}
	return nil
}
