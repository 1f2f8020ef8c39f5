package privileges

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs what with the account's rights to files, on a thread of its own. If this process is another
// user, it must be root.
func (a *Account) Do(what func() error) error {
	if a.UID == os.Geteuid() {
		return what()
	}
	done := make(chan error)
	go func() { // ends after what. Its thread ends with it, as it is never unlocked: no other goroutine gets it
		runtime.LockOSThread()
		if err := a.setThreadUser(); err != nil {
			done <- err
			return
		}
		done <- what()
	}()
	return <-done
}

// setThreadUser makes the account the file system user of this thread. When that leaves uid 0, the
// kernel clears the thread's capabilities that override permissions (capabilities(7)).
func (a *Account) setThreadUser() error {
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
