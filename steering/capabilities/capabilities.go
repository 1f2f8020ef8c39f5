package capabilities

import (
	"fmt"
	"math/bits"
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

// Has reports whether s holds a capability.
func (s Set) Has(capability int) bool { return s&Of(capability) != 0 }

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
	all := []string{}
	for _, n := range s.Numbers() {
		if n < len(names) {
			all = append(all, "CAP_"+strings.ToUpper(names[n]))
		} else {
			all = append(all, "CAP_"+strconv.Itoa(n))
		}
	}
	return all
}

// names are those of linux/capability.h.
var names = strings.Fields(`
	chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
	net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
	sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
	mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore`)

// Held is what a thread holds.
type Held struct{ Effective, Permitted Set }

// Read asks the kernel about the main thread of the process of that pid, of which 0 is the
// calling thread itself. The kernel answers every user about every process: capget(2).
func Read(pid int) (Held, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: int32(pid)}
	var data [2]unix.CapUserData // the low and the high 32 bits
	if err := unix.Capget(&header, &data[0]); err != nil {
		return Held{}, fmt.Errorf("read the capabilities of this process: %w", err)
	}
	return Held{
		Effective: Set(data[1].Effective)<<32 | Set(data[0].Effective),
		Permitted: Set(data[1].Permitted)<<32 | Set(data[0].Permitted),
	}, nil
}
