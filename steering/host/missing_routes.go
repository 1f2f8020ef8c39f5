package host

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// removers names who removed routes, "" where the kernel did not say.
func removers(lost missingRoutes) string {
	for _, port := range lost {
		if port != 0 {
			return remover(port)
		}
	}
	return ""
}

// remover names the process that a netlink port belongs to: the first socket of a process has
// its pid as a port, netlink(7).
func remover(port uint32) string {
	name := ProcessName(int(port))
	if name == "" {
		return fmt.Sprintf("a process that has ended or is hidden (netlink port %d)", port)
	}
	return fmt.Sprintf("%s (pid %d)", name, port)
}

// Missing lists what was missing at the last comparison with the kernel.
func (k *Keeper) Missing() (lines []string) {
	_, device := k.routes.Device()
	for _, p := range k.absent.first() {
		lines = append(lines, fmt.Sprintf("the route local %s dev %s is missing", p, device))
	}
	if more := len(k.absent) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("%d more local routes are missing", more))
	}
	return append(lines, k.unrestorable...)
}

// Undelivered says why packets for a served address do not come here though they are meant to:
// where others see to the routes, they may have ways that a look at the local table misses.
func (k *Keeper) Undelivered(addr netip.Addr, manages bool) string {
	host := netip.PrefixFrom(addr, addr.BitLen())
	if manages && k.served.LookupPrefix(host) || k.local.LookupPrefix(host) {
		return k.routes.delivered(addr)
	}
	return ""
}

// delivered says why packets for addr do not come to this host, "" if they do.
func (l *LocalRoutes) delivered(addr netip.Addr) string {
	ways, err := l.handle.RouteGet(addr.AsSlice())
	switch {
	case err != nil:
		return fmt.Sprintf("no route delivers %s to this host (%v): anyport reload", addr, err)
	case len(ways) > 0 && ways[0].Type != unix.RTN_LOCAL:
		return fmt.Sprintf("%s is not local: the kernel sends its packets elsewhere: anyport reload", addr)
	}
	return ""
}

// missingRoutes are own routes that may be missing, each with the netlink port of the process
// that has removed it: see [remover]. 0: not known.
type missingRoutes map[netip.Prefix]uint32

// first returns up to maxNamed of them, in order.
func (s missingRoutes) first() []netip.Prefix {
	all := slices.SortedFunc(maps.Keys(s), netip.Prefix.Compare)
	return all[:min(len(all), maxNamed)]
}

// maxNamed is how many of many a line of the log names.
const maxNamed = 5
