package config

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"anyport/config/form"
	"anyport/config/habits"
)

// The keys of action = "socket".
var (
	serviceName  = textual(pattern(line), parseService)
	listenerAddr = kind[netip.AddrPort]{parseListener, printListener, pattern(`((\[` + addressForm + `\]|[0-9.]+):[0-9]+)?`)}
)

// The forms of service that are not the name of a systemd unit.
const (
	ServicePID     = "pid:"     // followed by a number
	ServicePIDFile = "pidfile:" // followed by the path of a file that holds a number
	ServiceCgroup  = "/"        // the path of a cgroup begins with it
)

// unitName is the names that systemd.unit(5) allows, of the types that have processes.
var unitName = form.New(`^[A-Za-z0-9:_.\\@-]{1,240}\.(service|scope|slice)$`)

// parseService reads the name of a unit, a cgroup, "pid:N" or "pidfile:PATH".
func parseService(value any) (string, error) {
	name, err := text(value)
	if err != nil || name == "" {
		return name, err
	}
	number, isPID := strings.CutPrefix(name, ServicePID)
	file, isFile := strings.CutPrefix(name, ServicePIDFile)
	switch {
	case isPID:
		if n, err := strconv.ParseUint(number, 10, 31); err == nil && n > 0 {
			return name, nil
		}
		return "", newRefusal("Service", value, "has no process id", `write a number, such as "pid:1234"`)
	case isFile:
		if path.IsAbs(file) {
			return ServicePIDFile + path.Clean(file), nil
		}
		return "", newRefusal("Service", value, "names no absolute path", `write one such as "pidfile:/run/named.pid"`)
	case strings.HasPrefix(name, ServiceCgroup):
		if clean := path.Clean(name); clean != "/" {
			return clean, nil
		}
		return "", newRefusal("Service", value, "is the cgroup of the whole host", `write that of a service, such as "/system.slice/unbound.service"`)
	case !unitName().MatchString(name):
		m := refusal{want: "Service", found: show(value) + " is not the name of a systemd unit", cure: `write one such as "unbound.service", a cgroup such as "/system.slice/x.service", "pid:1234" or "pidfile:/run/x.pid"`}
		if unit := name + ".service"; unitName().MatchString(unit) && !strings.Contains(name, ".") {
			m.fix, m.cure = habits.Quote(unit), fmt.Sprintf("did you mean %q?", unit)
		}
		return "", m
	}
	return name, nil
}

// parseListener reads the address that a service's socket is bound to.
func parseListener(value any) (netip.AddrPort, error) {
	address, err := text(value)
	if err != nil || address == "" {
		return netip.AddrPort{}, err
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil || a.Port() == 0 || a.Addr().Zone() != "" {
		return netip.AddrPort{}, newRefusal("Listener", value, "is not an address with a port", `write what ss -lntup shows, such as "127.0.0.1:53", "0.0.0.0:53" or "[::]:53"`)
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

// printListener is "" for none.
func printListener(a netip.AddrPort) string {
	if !a.IsValid() {
		return `""`
	}
	return strconv.Quote(a.String())
}
