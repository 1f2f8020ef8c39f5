package privileges

import (
	"fmt"
	"math/bits"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Set is a set of capabilities: bit n is the one that capabilities(7) numbers n.
type Set uint64

// Of returns the set of these capabilities, unix.CAP_NET_ADMIN and its like.
func Of(capabilities ...int) (s Set) {
	for _, c := range capabilities {
		s |= 1 << c
	}
	return s
}

// Has reports whether a capability is in the set.
func (s Set) Has(capability int) bool { return s&(1<<capability) != 0 }

// Numbers returns the capabilities as capabilities(7) numbers them, the lowest first.
func (s Set) Numbers() (numbers []int) {
	for ; s != 0; s &= s - 1 {
		numbers = append(numbers, bits.TrailingZeros64(uint64(s)))
	}
	return numbers
}

// Names returns the capabilities by name, in the order of their numbers; one that is newer than this
// program by its number.
func (s Set) Names() []string {
	names := []string{}
	for _, n := range s.Numbers() {
		if n < len(capabilityNames) {
			names = append(names, "CAP_"+strings.ToUpper(capabilityNames[n]))
		} else {
			names = append(names, "CAP_"+strconv.Itoa(n))
		}
	}
	return names
}

// capabilityNames are those of linux/capability.h.
var capabilityNames = strings.Fields(`
	chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
	net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
	sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
	mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore`)

// Held is what a process holds.
type Held struct {
	User         string   `json:"user"`         // a name, or a number that has none
	Capabilities []string `json:"capabilities"` // effective ones
	NoNewPrivs   bool     `json:"no_new_privs"`
}

// Read returns what this process holds. All its threads hold the same, or Drop is at fault.
func Read() (Held, error) {
	effective, err := Effective()
	if err != nil {
		return Held{}, err
	}
	noNew, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return Held{}, os.NewSyscallError("prctl PR_GET_NO_NEW_PRIVS", err)
	}
	return Held{User: userName(os.Geteuid()), Capabilities: effective.Names(), NoNewPrivs: noNew == 1}, nil
}

// userName is the number itself if the user has no name here.
func userName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

// Effective returns the effective capabilities of this thread: what the kernel checks.
func Effective() (Set, error) {
	data, err := capget()
	return Set(data[1].Effective)<<32 | Set(data[0].Effective), err
}

// Permitted returns the permitted capabilities of this thread: what it may make effective, or hand to
// another program.
func Permitted() (Set, error) {
	data, err := capget()
	return Set(data[1].Permitted)<<32 | Set(data[0].Permitted), err
}

// capget is capget(2), whose two elements have 32 capabilities each.
func capget() (data [2]unix.CapUserData, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return data, fmt.Errorf("read the capabilities of this process: %w", err)
	}
	return data, nil
}
