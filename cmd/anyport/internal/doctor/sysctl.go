package doctor

import (
	"fmt"
	"net/netip"
	"strings"
)

// checkReversePath finds where the kernel drops IPv4 clients unseen: strict filtering
// (RFC 3704 §2.2) on an interface that the default route does not leave through. IPv6
// has no such switch.
func checkReversePath(f *Facts) []Finding {
	var strict, commands []string
	for _, l := range f.Links {
		if l.Up && !l.Loopback && !l.Port && !l.DefaultV4 && l.ReversePath == 1 {
			strict = append(strict, l.Name)
			commands = append(commands, fmt.Sprintf("sysctl -w net/ipv4/conf/%s/rp_filter=2", l.Name))
		}
	}
	if len(strict) == 0 || f.Config != nil && !f.serves(netip.Addr.Is4) {
		return ok("no interface drops clients by it")
	}
	return warn(strings.Join(commands, "\n"),
		"a client from beyond the subnets there is dropped unseen: the way back to it leaves elsewhere",
		"strict on %s, which no default route leaves through", strings.Join(strict, ", "))
}

// checkSYNCookies wants them: one listener has the accept queue of all prefixes.
func checkSYNCookies(f *Facts) []Finding {
	const name, why = "net/ipv4/tcp_syncookies", "one TCP socket answers for all prefixes: without SYN cookies a SYN flood on one address shuts out the clients of all"
	value, there := f.number(name)
	switch {
	case !there:
		return warn("boot a kernel with CONFIG_SYN_COOKIES", why, "this kernel has no SYN cookies")
	case value == 0:
		return warn("sysctl -w net.ipv4.tcp_syncookies=1", why, "off")
	}
	return ok("on (%d)", value)
}

// checkBacklog finds a somaxconn that cuts listen.tcp_backlog: listen(2) does so silently.
func checkBacklog(f *Facts) []Finding {
	most, there := f.number("net/core/somaxconn")
	switch {
	case f.Config == nil || !there:
		return ok("no file, no backlog")
	case most < f.Config.Listen.TCPBacklog:
		return warn(fmt.Sprintf("sysctl -w net.core.somaxconn=%d", f.Config.Listen.TCPBacklog),
			"the accept queue is cut to it: in a burst, new conns time out",
			"%d, less than listen.tcp_backlog = %d", most, f.Config.Listen.TCPBacklog)
	}
	return ok("%d, enough for listen.tcp_backlog = %d", most, f.Config.Listen.TCPBacklog)
}

// checkConntrack looks at a table that the proxy does not need, but fills: two entries a conn, if any
// rule has switched tracking on. A nf_conntrack_max of 0 is no limit (__nf_conntrack_alloc).
func checkConntrack(f *Facts) []Finding {
	used, there := f.number("net/netfilter/nf_conntrack_count")
	most, _ := f.number("net/netfilter/nf_conntrack_max")
	switch {
	case !there || used == 0: // the module is not loaded, or no rule tracks anything
		return ok("not in use")
	case most == 0:
		return ok("%d entries in use, without a limit", used)
	case used*10 >= most*8:
		return warn(fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d   # or exempt the prefixes with notrack rules", 4*most),
			"when it is full the kernel drops new conns and flows unseen", "%d of %d entries in use", used, most)
	}
	return ok("%d of %d entries in use", used, most)
}
