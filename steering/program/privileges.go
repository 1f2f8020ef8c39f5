package program

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/steering/capabilities"
)

// needed are the capabilities for opening the steering, each with the one that stands
// in for it. CAP_BPF is there since Linux 5.8; CAP_SYS_ADMIN holds all of it.
var needed = []struct {
	name    string
	bit     int
	instead int
}{
	{"CAP_BPF", unix.CAP_BPF, unix.CAP_SYS_ADMIN},
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, unix.CAP_NET_ADMIN},
}

const grant = "run as root, or grant it: setcap cap_bpf,cap_net_admin,cap_net_bind_service+ep $(command -v anyport)"

// CheckPrivileges names the capabilities that this thread lacks.
func CheckPrivileges() error {
	held, err := capabilities.Read(0)
	if err != nil {
		return err
	}
	if missing := MissingCapabilities(held.Effective); len(missing) > 0 {
		return fmt.Errorf("steering needs %s: %s", strings.Join(missing, " and "), grant)
	}
	return nil
}

// MissingCapabilities returns the names of what effective, a set of capabilities, does not hold.
func MissingCapabilities(effective capabilities.Set) []string {
	var missing []string
	for _, c := range needed {
		if effective&capabilities.Of(c.bit, c.instead) == 0 {
			missing = append(missing, c.name)
		}
	}
	return missing
}
