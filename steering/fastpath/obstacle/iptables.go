package obstacle

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// iptables-legacy has its own tables, in which each hook has a run of rules up to its policy.

// ipTable is struct ipt_getinfo of linux/netfilter_ipv4/ip_tables.h, which ip6_tables.h has as well.
type ipTable struct {
	name      [32]byte
	hooks     uint32    // which there are
	first     [5]uint32 // rule of each hook, as an offset
	policy    [5]uint32 // its last one
	rules     uint32
	sizeBytes uint32
}

// getInfo is IPT_SO_GET_INFO and IP6T_SO_GET_INFO.
const getInfo = 64

var hookNames = [...]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

// readIPTables asks about the tables that are in use in this namespace. To ask about another one would
// make it.
func (r *Reader) readIPTables() (all []Obstacle, err error) {
	for i, family := range []struct {
		names, command string
		level          int
	}{
		{"/proc/thread-self/net/ip_tables_names", "iptables", unix.IPPROTO_IP},
		{"/proc/thread-self/net/ip6_tables_names", "ip6tables", unix.IPPROTO_IPV6},
	} {
		names, err := os.ReadFile(family.names)
		if errors.Is(err, os.ErrNotExist) || r.inet[i] < 0 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the tables of %s: %w", family.command, err)
		}
		for _, name := range strings.Fields(string(names)) {
			t, err := readIPTable(r.inet[i], family.level, name)
			if err != nil {
				return nil, fmt.Errorf("read the table %s of %s: %w", name, family.command, err)
			}
			for _, hook := range t.used() {
				all = append(all, Obstacle{What: fmt.Sprintf("%s-legacy table %s, chain %s has rules", family.command, name, hookNames[hook])})
			}
		}
	}
	return all, nil
}

// used are the hooks that have rules and see datagrams.
func (t *ipTable) used() (hooks []int) {
	for h := range t.first {
		if h != hookForward && t.hooks&(1<<h) != 0 && t.first[h] != t.policy[h] {
			hooks = append(hooks, h)
		}
	}
	return hooks
}

func readIPTable(fd, level int, name string) (t ipTable, err error) {
	copy(t.name[:len(t.name)-1], name)
	size := uint32(unsafe.Sizeof(t))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), getInfo, uintptr(unsafe.Pointer(&t)), uintptr(unsafe.Pointer(&size)), 0)
	runtime.KeepAlive(&t)
	if errno != 0 && !missing(errno) {
		return t, os.NewSyscallError("getsockopt IPT_SO_GET_INFO", errno)
	}
	return t, nil
}
