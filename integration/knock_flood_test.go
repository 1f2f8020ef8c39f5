package integration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestKnockFlooded: while datagrams come that have the form of a knock and a wrong signature, from all addresses of
// a network, at most 1,000 a second and the burst of the bucket cost a hash, and the right knock opens the door every time.
func TestKnockFlooded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.edge.serveWith(t, fmt.Sprintf("[knock]\nkeys = %q\n[route.ssh]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [4711]\norigins = [\"10.0.0.5\"]\nknock = [\"spa\"]\nknock_window = \"1h\"\n", writeKeys(t, 0), servedV4))
	forged := make([]string, 1000)
	for i := range forged {
		good := signKnock(time.Now(), 1000+i)
		forged[i] = good[:len(good)-8] + "00000000"
	}
	to := netip.MustParseAddrPort(dstV4 + ":62201")
	began := time.Now()
	var stops []func() uint64
	for sender := range uint64(2) {
		stops = append(stops, r.client.forge(t, to.Addr(), soak(5_000, 75_000), func(n uint64) []byte {
			from := netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})
			return forgedDatagram(netip.AddrPortFrom(from, uint16(1024+n%60_000)), to, forged[(2*n+sender)%uint64(len(forged))])
		}))
	}
	eventually(t, "the flood arrives", func() bool { return p.knocks(t, "unsigned") > 100 })
	cpu, quiet := p.cpu(t), time.Now()
	time.Sleep(time.Duration(soak(2, 10)) * time.Second)
	used := (p.cpu(t) - cpu).Seconds() / time.Since(quiet).Seconds()
	tries := soak(20, 1000)
	for try := 1; try <= tries; try++ {
		r.client.ring(t, signKnock(time.Now().Add(10*time.Second), try))
		eventually(t, fmt.Sprintf("knock %d opens the door", try), func() bool { return p.knocks(t, "opened") == try })
	}
	sent := stops[0]() + stops[1]()
	lasted := time.Since(began)
	hashed := p.knocks(t, "unsigned")
	t.Logf("%d datagrams in %s, %.0f a second; %d cost a hash, %.0f a second; anyport used %.3f s of CPU a second; %d knocks opened",
		sent, lasted.Round(time.Millisecond), float64(sent)/lasted.Seconds(), hashed, float64(hashed)/lasted.Seconds(), used, tries)
	if most := 1000 * (lasted.Seconds() + 5); float64(hashed) > most {
		t.Errorf("%d datagrams cost a hash, want at most %.0f", hashed, most)
	}
}
