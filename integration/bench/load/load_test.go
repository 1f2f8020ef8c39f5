package load

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/ipv4"
)

func TestDst(t *testing.T) {
	ports := portRange{7000, 2}
	for _, test := range []struct {
		prefix string
		i      int
		want   string
	}{
		{"192.0.2.0/24", 0, "192.0.2.1:7000"},
		{"192.0.2.0/24", 1, "192.0.2.1:7001"},
		{"192.0.2.0/24", 2, "192.0.2.2:7000"},
		{"192.0.2.0/24", 399, "192.0.2.200:7001"},
		{"192.0.2.0/24", 400, "192.0.2.1:7000"},
		{"10.0.0.5/32", 3, "10.0.0.5:7001"},
	} {
		job := Job{Dst: netip.MustParsePrefix(test.prefix)}
		if got := job.dst(test.i, ports); got != netip.MustParseAddrPort(test.want) {
			t.Errorf("%s, %d: %v, not %s", test.prefix, test.i, got, test.want)
		}
	}
}

func TestPercentiles(t *testing.T) {
	tallies := make([]tally, 2)
	for i := range 1001 {
		share := &tallies[i%2]
		share.latencies = append(share.latencies, time.Duration(1000-i)*time.Second)
	}
	var r Result
	r.percentiles(tallies)
	if diff := cmp.Diff(Result{P50: 500, P99: 990, P999: 999}, r); diff != "" {
		t.Error(diff)
	}
}

// TestTrains sends single datagrams and a train over loopback, and wants the sizes back.
func TestTrains(t *testing.T) {
	receiver, err := openUDP(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	sender, err := openUDP(netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	to := receiver.LocalAddr()
	sender.send(make([]byte, 100), 100, to)
	sender.send(make([]byte, 250), 100, to)
	sender.flush()

	receiver.udp.SetReadDeadline(time.Now().Add(patience))
	bytes := 0
	for bytes < 350 {
		messages, err := receiver.read()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if size := sizeOf(m); size != min(m.N, 100) {
				t.Errorf("a message of %d bytes has datagrams of %d", m.N, size)
			}
			bytes += m.N
		}
	}
}

func TestAnswers(t *testing.T) {
	a := &asker{tally: &tally{}, size: 64}
	a.plan(netip.MustParseAddrPort("192.0.2.1:7"), 2)
	a.questions[0].pending = 2
	answer := func(from string, datagrams int) bool {
		_, done := a.take(ipv4.Message{
			Buffers: [][]byte{a.questions[0].train}, N: 64 * datagrams,
			Addr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)),
		})
		return done
	}
	for _, test := range []struct {
		from      string
		datagrams int
		done      bool
	}{
		{"192.0.2.1:8", 1, false}, // another port
		{"192.0.2.2:7", 1, false}, // another address
		{"192.0.2.1:7", 1, false},
		{"192.0.2.1:7", 1, true},
		{"192.0.2.1:7", 1, false}, // nobody waits for it any more
	} {
		if done := answer(test.from, test.datagrams); done != test.done {
			t.Errorf("%+v: done is %v", test, done)
		}
	}
	if ops, wrong := a.ops.Load(), a.wrong.Load(); ops != 2 || wrong != 2 {
		t.Errorf("%d answers, %d wrong", ops, wrong)
	}
}
