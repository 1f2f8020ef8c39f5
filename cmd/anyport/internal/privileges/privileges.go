package privileges

import (
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"anyport/steering/capabilities"
)

// Held is what a process holds.
type Held struct {
	User         string   `json:"user"`         // a name, or a number that has none
	Capabilities []string `json:"capabilities"` // effective ones
	NoNewPrivs   bool     `json:"no_new_privs"`
}

// Read returns what this process holds. All its threads hold the same, or Drop is at fault.
func Read() (Held, error) {
	held, err := capabilities.Read(0)
	if err != nil {
		return Held{}, err
	}
	noNew, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return Held{}, os.NewSyscallError("prctl PR_GET_NO_NEW_PRIVS", err)
	}
	return Held{User: userName(os.Geteuid()), Capabilities: held.Effective.Names(), NoNewPrivs: noNew == 1}, nil
}

// userName is the number itself if the user has no name here.
func userName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}
