package steering

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities for opening the steering, each with the one that stands
// in for it. CAP_BPF is there since Linux 5.8; CAP_SYS_ADMIN holds all of it.
var needed = []struct {
	name    string
	bit     uint
	instead uint
}{
	{"CAP_BPF", unix.CAP_BPF, unix.CAP_SYS_ADMIN},
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, unix.CAP_NET_ADMIN},
}

const grant = "run as root, or grant it: setcap cap_bpf,cap_net_admin,cap_net_bind_service+ep $(command -v anyport)"

// checkPrivileges names the capabilities that this thread lacks.
func checkPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities of this process: %w", err)
	}
	if missing := lacking(uint64(data[1].Effective)<<32 | uint64(data[0].Effective)); len(missing) > 0 {
		return fmt.Errorf("steering needs %s: %s", strings.Join(missing, " and "), grant)
	}
	return nil
}

// lacking returns the names of what effective, a set of capabilities, does not hold.
func lacking(effective uint64) []string {
	var missing []string
	for _, c := range needed {
		if effective&(1<<c.bit|1<<c.instead) == 0 {
			missing = append(missing, c.name)
		}
	}
	return missing
}
