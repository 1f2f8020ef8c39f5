package doctor

import "testing"

func sysctlIs(name, value string) func(*Facts) {
	return func(f *Facts) { f.Sysctls[name] = value }
}

func noSysctl(name string) func(*Facts) {
	return func(f *Facts) { delete(f.Sysctls, name) }
}

// second gives the host one more interface.
func second(l Link) func(*Facts) {
	return func(f *Facts) { f.Links = append(f.Links, l) }
}

func TestReversePath(t *testing.T) {
	run(t, "rp_filter", []example{
		{"strict on a second way in",
			second(Link{Name: "eth1.7", Up: true, ReversePath: 1}),
			[]Status{Warning}, "strict on eth1.7", "sysctl -w net/ipv4/conf/eth1.7/rp_filter=2"},
		{"loose on a second way in",
			second(Link{Name: "eth1", Up: true, ReversePath: 2}),
			[]Status{OK}, "", ""},
		{"strict where nothing arrives",
			second(Link{Name: "eth1", ReversePath: 1}),
			[]Status{OK}, "", ""},
		{"strict on a bridge's port",
			second(Link{Name: "eth1", Up: true, Port: true, ReversePath: 1}),
			[]Status{OK}, "", ""},
		{"strict, but no IPv4 served",
			all(serve("2001:db8:1::/48"), second(Link{Name: "eth1", Up: true, ReversePath: 1})),
			[]Status{OK}, "", ""},
	})
}

func TestSYNCookies(t *testing.T) {
	run(t, "tcp_syncookies", []example{
		{"no SYN cookies",
			sysctlIs("net/ipv4/tcp_syncookies", "0"),
			[]Status{Warning}, "off", "sysctl -w net.ipv4.tcp_syncookies=1"},
		{"a kernel without SYN cookies",
			noSysctl("net/ipv4/tcp_syncookies"),
			[]Status{Warning}, "no SYN cookies", "boot a kernel with CONFIG_SYN_COOKIES"},
	})
}

func TestBacklog(t *testing.T) {
	run(t, "somaxconn", []example{
		{"a short accept queue",
			sysctlIs("net/core/somaxconn", "128"),
			[]Status{Warning}, "128, less than listen.tcp_backlog = 4096", "sysctl -w net.core.somaxconn=4096"},
	})
}

func TestConntrack(t *testing.T) {
	run(t, "conntrack", []example{
		{"conntrack nearly full",
			sysctlIs("net/netfilter/nf_conntrack_count", "800"),
			[]Status{Warning}, "800 of 1000", "sysctl -w net.netfilter.nf_conntrack_max=4000   # or exempt the prefixes with notrack rules"},
		{"conntrack with room",
			sysctlIs("net/netfilter/nf_conntrack_count", "799"),
			[]Status{OK}, "799 of 1000", ""},
		{"no conntrack",
			noSysctl("net/netfilter/nf_conntrack_count"),
			[]Status{OK}, "not in use", ""},
	})
}

// TestConntrackWithoutALimit: the kernel takes 0 for no limit, and a table for few entries is not full with one.
func TestConntrackWithoutALimit(t *testing.T) {
	used := func(used, most string) func(*Facts) {
		return all(sysctlIs("net/netfilter/nf_conntrack_count", used), sysctlIs("net/netfilter/nf_conntrack_max", most))
	}
	run(t, "conntrack", []example{
		{"no limit", used("5", "0"), []Status{OK}, "5 entries in use, without a limit", ""},
		{"a limit that cannot be read", all(used("5", ""), noSysctl("net/netfilter/nf_conntrack_max")), []Status{OK}, "5 entries in use", ""},
		{"a small table with room", used("1", "9"), []Status{OK}, "1 of 9", ""},
		{"a small table nearly full", used("8", "9"), []Status{Warning}, "8 of 9", "sysctl -w net.netfilter.nf_conntrack_max=36   # or exempt the prefixes with notrack rules"},
		{"full", used("1000", "1000"), []Status{Warning}, "1000 of 1000", "sysctl -w net.netfilter.nf_conntrack_max=4000   # or exempt the prefixes with notrack rules"},
	})
}
