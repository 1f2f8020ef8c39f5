package privileges

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"anyport/steering/capabilities"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Account is a user of this host, by numbers.
type Account struct {
	UID, GID int
	Groups   []int // the supplementary ones
}

// Find looks up a user by name or number. A number needs no entry in /etc/passwd: its
// group is the same number then.
func Find(name string) (*Account, error) {
	u, err := user.Lookup(name)
	if uid, notNumber := strconv.Atoi(name); err != nil && notNumber == nil {
		if u, err = user.LookupId(name); err != nil {
			return &Account{UID: uid, GID: uid}, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("there is no user %q: make it with: useradd --system --no-create-home %s", name, name)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("read the groups of user %q: %w", name, err)
	}
	numbers, err := atoi(slices.Concat([]string{u.Uid, u.Gid}, groups))
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", name, err)
	}
	return &Account{UID: numbers[0], GID: numbers[1], Groups: numbers[2:]}, nil
}

func atoi(texts []string) (numbers []int, err error) {
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// Drop leaves this process with those capabilities of keep that it has, as another
// user unless as is nil, and without a way to gain any by exec. It is for all threads,
// those to come included. After an error what the process holds is not known: end it.
func Drop(keep capabilities.Set, as *Account) error {
	if as != nil && as.UID != os.Getuid() { // one that was handed over to is that user already
		if err := become(as); err != nil {
			return err
		}
	}
	held, err := capabilities.Read(0)
	if err != nil {
		return err
	}
	left := held.Permitted & keep // of the effective ones none is left where the user has changed
	var data [2]unix.CapUserData
	for i := range data {
		half := uint32(left >> (32 * i))
		data[i] = unix.CapUserData{Effective: half, Permitted: half}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = everywhere("capset", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	return errors.Join(err, everywhere("prctl PR_SET_NO_NEW_PRIVS", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0))
}

// become changes the user of all threads, who keep the capabilities that are permitted.
func become(as *Account) error {
	if err := everywhere("prctl PR_SET_KEEPCAPS", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); err != nil {
		return err
	}
	err := syscall.Setgroups(as.Groups)
	if err == nil {
		err = syscall.Setresgid(as.GID, as.GID, as.GID)
	}
	if err == nil {
		err = syscall.Setresuid(as.UID, as.UID, as.UID)
	}
	if err != nil {
		return fmt.Errorf("become user %d: %w: that takes CAP_SETUID and CAP_SETGID: run as root, or without a user to change to", as.UID, err)
	}
	return nil
}

// everywhere makes a system call on every thread. The threads of a binary that is built
// with cgo are the C library's, too, and syscall.AllThreadsSyscall refuses there; libpsx
// interrupts each of them by a signal.
//
//go:uintptrescapes
func everywhere(name string, trap, a1, a2, a3 uintptr) error {
	if _, _, errno := psx.Syscall6(trap, a1, a2, a3, 0, 0, 0); errno != 0 {
		return fmt.Errorf("%s: %w", name, errno)
	}
	return nil
}
