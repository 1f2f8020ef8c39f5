package load

import (
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
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
		{"2001:db8::/64", 2, "[2001:db8::2]:7000"},
		{"2001:db8::/64", 400, "[2001:db8::1]:7000"},
		{"fd00::5/128", 3, "[fd00::5]:7001"},
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
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(loopback, func(t *testing.T) { sendTrains(t, netip.MustParseAddrPort(loopback)) })
	}
}

func sendTrains(t *testing.T, local netip.AddrPort) {
	receiver, err := openUDP(local, newInbox())
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	sender, err := openUDP(local, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	from, to := own(t, sender), own(t, receiver)
	sender.send(make([]byte, 100), 100, to)
	sender.send(make([]byte, 250), 100, to)
	sender.flush()

	bytes := 0
	for end := time.Now().Add(patience); bytes < 350 && time.Now().Before(end); {
		for m := range receiver.read {
			if m.size != min(len(m.bytes), 100) || m.from != from {
				t.Errorf("a message of %d bytes from %v has datagrams of %d", len(m.bytes), m.from, m.size)
			}
			bytes += len(m.bytes)
		}
	}
	if bytes != 350 {
		t.Errorf("%d bytes came", bytes)
	}
}

func TestPayloadAt(t *testing.T) {
	for want, datagram := range map[int][]byte{
		0:         {quiet, 1},
		28:        append([]byte(v2Signature), 0x21, 0x12, 0, 12),
		52:        append([]byte(v2Signature), 0x21, 0x22, 0, 36),
		sppHeader: {0x56, 0xec, 0},
	} {
		if got := payloadAt(datagram); got != want {
			t.Errorf("%x: %d, want %d", datagram, got, want)
		}
	}
}

// own is the address of a socket's own.
func own(t *testing.T, s *socket) netip.AddrPort {
	t.Helper()
	var name sockaddr
	length := uint32(len(name))
	if _, err := result(unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(s.fd), uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&length)))); err != nil {
		t.Fatal(err)
	}
	return name.addrPort()
}

func TestAnswers(t *testing.T) {
	a := &asker{tally: &tally{}, size: 64}
	a.plan(netip.MustParseAddrPort("192.0.2.1:7"), 2)
	a.plan(netip.MustParseAddrPort("192.0.2.1:7"), 1)
	a.questions[0].pending, a.questions[1].pending = 2, 1
	first, second := a.questions[0].train[:64], a.questions[1].train
	for _, test := range []struct {
		from   string
		answer []byte
		done   []int
	}{
		{"192.0.2.1:8", first, nil}, // another port
		{"192.0.2.2:7", first, nil}, // another address
		{"192.0.2.1:7", first, nil},
		{"192.0.2.1:7", slices.Concat(first, second), []int{0, 1}}, // one train of both
		{"192.0.2.1:7", first, nil},                                // nobody waits for it any more
	} {
		var done []int
		if a.take(message{bytes: test.answer, from: netip.MustParseAddrPort(test.from)}, func(i int) { done = append(done, i) }); !slices.Equal(done, test.done) {
			t.Errorf("%d bytes from %s: done are %v, want %v", len(test.answer), test.from, done, test.done)
		}
	}
	if ops, wrong := a.ops.Load(), a.wrong.Load(); ops != 3 || wrong != 2 {
		t.Errorf("%d answers, %d wrong", ops, wrong)
	}
}
