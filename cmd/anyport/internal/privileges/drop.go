package privileges

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"

	"anyport/steering/capabilities"
)

// Account is a user of this host, by numbers, as setresuid(2) wants them.
type Account struct {
	UID, GID int
	Groups   []int // the supplementary ones
}

// mostUID is the largest number of a user. One more is -1 in the kernel, which setresuid(2) takes for
// no change: the process would stay root.
const mostUID = math.MaxUint32 - 1

// Find looks up a user by name or number. A number needs no entry in /etc/passwd: its group is then the
// same number.
func Find(name string) (*Account, error) {
	u, err := user.Lookup(name)
	if uid, notNumber := strconv.Atoi(name); err != nil && notNumber == nil {
		if uid < 0 || uid > mostUID {
			return nil, fmt.Errorf("%q is not the number of a user: it must be from 0 to %d", name, mostUID)
		}
		if u, err = user.LookupId(name); err != nil {
			return &Account{UID: uid, GID: uid}, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("there is no user %q: create it: useradd --system --no-create-home %s", name, name)
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

// FindGroup looks up a group by name or number. A number needs no entry in /etc/group.
func FindGroup(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(g.Gid)
	}
	if gid, err := strconv.Atoi(name); err == nil && gid >= 0 && gid <= mostUID {
		return gid, nil
	}
	return 0, fmt.Errorf("there is no group %q: create it: groupadd --system %s", name, name)
}

// atoi reads numbers as /etc/passwd and /etc/group have them.
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

// Drop leaves this process with those capabilities of keep that it has, as another user unless as is
// nil, and unable to gain any by execve(2) (no_new_privs). It reaches all threads, those to come
// included. After an error what the process holds is unknown: it must end.
func Drop(keep capabilities.Set, as *Account) error {
	if err := findsThreads(); err != nil {
		return err
	}
	if as != nil && as.UID != os.Getuid() { // the new process of an upgrade is that user already
		if err := setUser(as); err != nil {
			return err
		}
	}
	held, err := capabilities.Read(0)
	if err != nil {
		return err
	}
	left := held.Permitted & keep // a change of the user has cleared the effective ones
	var data [2]unix.CapUserData  // the low and the high 32 bits
	for i := range data {
		half := uint32(left >> (32 * i))
		data[i] = unix.CapUserData{Effective: half, Permitted: half}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = onAllThreads("capset", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	return errors.Join(err, onAllThreads("prctl PR_SET_NO_NEW_PRIVS", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0))
}

// setUser changes the user of all threads. Without PR_SET_KEEPCAPS the kernel would clear their
// permitted capabilities when they leave uid 0.
func setUser(as *Account) error {
	if err := onAllThreads("prctl PR_SET_KEEPCAPS", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); err != nil {
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

// onAllThreads makes a system call on every thread. In a binary that is built with cgo some threads
// are the C library's, and syscall.AllThreadsSyscall refuses; libpsx interrupts each by a signal.
//
//go:uintptrescapes
func onAllThreads(name string, trap, a1, a2, a3 uintptr) error {
	if _, _, errno := psx.Syscall6(trap, a1, a2, a3, 0, 0, 0); errno != 0 {
		return fmt.Errorf("%s: %w", name, errno)
	}
	return nil
}
