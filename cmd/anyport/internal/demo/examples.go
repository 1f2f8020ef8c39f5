package demo

import (
	"context"
	"fmt"
	"io"
	"net/netip"
)

// tries are a few odd ports of odd addresses.
var tries = []struct{ network, dst string }{
	{"tcp", "192.0.2.1:1"},
	{"tcp", "192.0.2.77:4711"},
	{"udp", "192.0.2.200:53"},
	{"tcp", "[2001:db8:1::cafe]:65535"},
	{"udp", "[2001:db8:1:2:3:4:5:6]:31337"},
}

// try asks each of the tries once and prints what the origin received.
func try(ctx context.Context, out io.Writer) error {
	const row = "%-3s  %-32s  %-24s  %s\n"
	fmt.Fprintf(out, "What a client asked for, and what the origin received:\n\n")
	fmt.Fprintf(out, row, "", "DST", "CLIENT", "DST")
	for _, t := range tries {
		dst := netip.MustParseAddrPort(t.dst)
		got, err := askOnce(ctx, t.network, dst)
		if err != nil {
			return fmt.Errorf("%s %s: %w", t.network, t.dst, err)
		}
		fmt.Fprintf(out, row, t.network, t.dst, got.client, got.dst)
	}
	fmt.Fprintln(out)
	return nil
}

// askOnce makes an asker for one exchange.
func askOnce(ctx context.Context, network string, dst netip.AddrPort) (answer, error) {
	asker, err := newAsker(network, clientFor(dst.Addr()))
	if err != nil {
		return answer{}, err
	}
	defer asker.close()
	return asker.ask(ctx, dst, question(dst))
}

// clientFor is the client's address in the family of dst.
func clientFor(dst netip.Addr) netip.Addr {
	for _, c := range clients {
		if c.Addr().Is4() == dst.Is4() {
			return c.Addr()
		}
	}
	return netip.Addr{}
}
