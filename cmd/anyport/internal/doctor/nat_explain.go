package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"

	"anyport/config"
)

// Translated says which rules change dst before the steering sees its packets, in the network
// namespace of the calling thread. It takes CAP_NET_ADMIN, and programs that list rules.
func Translated(ctx context.Context, protocol config.Protocol, dst netip.AddrPort) (lines []string, err error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	addr := dst.Addr().Unmap()
	host := netip.PrefixFrom(addr, addr.BitLen())
	_, _, _, nat, err := readFilters(ctx, []netip.Prefix{host})
	for _, n := range nat {
		if _, any := n.takes(host, protocol, config.PortRange{First: dst.Port(), Last: dst.Port()}); any && len(lines) < most {
			lines = append(lines, fmt.Sprintf("a DNAT rule takes its packets before the steering sees them: %s (%s, from %s); to keep dst from it: %s",
				n.Text, n.Chain, n.Start, spareFor(n.Spare, host)))
		}
	}
	return lines, err
}
