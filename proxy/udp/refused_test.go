package udp

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// listen counts what f says of origins, by level.
func (f *fakeTable) listen() map[slog.Level]int {
	lines := map[slog.Level]int{}
	f.say = func(level slog.Level, _ string, _ ...any) { lines[level]++ }
	return lines
}

func TestLeaves(t *testing.T) {
	for _, test := range []struct {
		stage stage
		err   error
		lasts bool
		want  bool
	}{
		{unanswered, unix.ECONNREFUSED, false, true},
		{unanswered, unix.EHOSTUNREACH, false, true},
		{answered, unix.ECONNREFUSED, false, true},
		{answered, unix.EHOSTUNREACH, false, false},
		{answered, unix.ENETUNREACH, true, true},
		{shown, unix.EHOSTUNREACH, false, false},
		{shown, unix.ECONNREFUSED, false, true},
	} {
		if got := leaves(test.stage, test.err, test.lasts); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// TestMove: a flow that goes to another origin has its header again, gives back what it had, and
// is counted where it is.
func TestMove(t *testing.T) {
	r := to(originAddr, backupAddr)
	r.ProxyProtocol = config.ProxyV2First
	f, fl := began(t, r, client1, dst1, 10)
	lines := f.listen()
	fl.settle(route.ToOrigin, route.Forwarded, 1, 10)
	origins := fl.route.Origins.Origins
	f.refusal(fl.route, fl.origin, fl.originPort(), unix.ECONNREFUSED, 1)
	generation := fl.generation
	if !f.forsaken(fl, 1) || !f.move(fl, 1) {
		t.Fatal("the flow stays")
	}
	if fl.originAddr() != backupAddr || fl.generation == generation || len(fl.header) == 0 || !fl.headerOnce {
		t.Errorf("the flow went on as %+v", fl)
	}
	if f.kernel.open != 1 || origins[0].Active() != 0 || origins[1].Active() != 1 {
		t.Errorf("%d sockets, %d and %d flows of the origins", f.kernel.open, origins[0].Active(), origins[1].Active())
	}
	f.answer(fl, []byte("answer"), 2)
	if f.refusal(fl.route, fl.origin, fl.originPort(), unix.ECONNREFUSED, 2); f.move(fl, 2) {
		t.Error("the flow went to an origin that refuses, too")
	}
	f.answer(fl, []byte("answer"), 3)
	if lines[slog.LevelWarn] != 2 || lines[slog.LevelInfo] != 1 {
		t.Errorf("logged %v", lines)
	}
	f.endAll(route.IdleTimedOut, 4)
	if f.kernel.open != 0 || origins[0].Active() != 0 || origins[1].Active() != 0 {
		t.Errorf("left: %d sockets, %d and %d flows of the origins", f.kernel.open, origins[0].Active(), origins[1].Active())
	}
}

// TestMoveFails: a flow whose other origins cannot be dialled keeps all that it had.
func TestMoveFails(t *testing.T) {
	f, fl := began(t, to(originAddr, backupAddr), client1, dst1, 10)
	f.listen()
	before := *fl
	f.kernel.fails = map[netip.AddrPort]error{backupAddr: unix.ENETUNREACH}
	f.refusal(fl.route, fl.origin, fl.originPort(), unix.ECONNREFUSED, 1)
	if f.move(fl, 1) {
		t.Fatal("the flow went to an origin that cannot be dialled")
	}
	if fl.origin != before.origin || fl.fd != before.fd || fl.generation != before.generation || f.kernel.open != 1 || fl.origin.Active() != 1 {
		t.Errorf("the flow has %+v, and had %+v; %d sockets", fl, before, f.kernel.open)
	}
}

// TestForsaken: an answered flow stays with an origin that refuses others until it has refused
// again.
func TestForsaken(t *testing.T) {
	f, fl := began(t, to(originAddr, backupAddr), client1, dst1, 10)
	f.listen()
	f.answer(fl, []byte("answer"), 1)
	f.refusal(fl.route, fl.origin, fl.originPort(), unix.EHOSTUNREACH, 1)
	if f.forsaken(fl, 2) {
		t.Error("an answered flow leaves at once")
	}
	later := 2 * time.Second
	f.refusal(fl.route, fl.origin, fl.originPort(), unix.EHOSTUNREACH, later)
	if !f.forsaken(fl, later) {
		t.Error("an answered flow stays with an origin that goes on refusing")
	}
}

// TestCopies compares with a map that forgets nothing: a copy is that of the flow, or none.
func TestCopies(t *testing.T) {
	var c copies
	one, two := live(to(originAddr), dst1).Set().Routes[0], live(to(originAddr, backupAddr), dst1).Set().Routes[0]
	kept, found := map[uint32]string{}, 0
	random := rand.New(rand.NewPCG(1, 2))
	for generation := uint32(1); generation < 5000; generation++ {
		f := &flow{generation: generation, route: two}
		payload := make([]byte, random.IntN(2*maxCopy))
		if generation%10 == 0 {
			f.route = one
		}
		for i := range payload {
			payload[i] = byte(random.Uint32())
		}
		c.keep(f, payload, uint8(generation))
		kept[generation] = string(payload)
		asked := &flow{generation: generation - uint32(random.IntN(int(generation))), route: two}
		if got := c.of(asked); got != nil {
			found++
			if string(got.payload) != kept[asked.generation] || got.class != uint8(asked.generation) || asked.generation%10 == 0 {
				t.Fatalf("flow %d of %d has another's copy", asked.generation, generation)
			}
			if c.of(asked) != nil {
				t.Fatal("a copy is there twice")
			}
		}
	}
	if found == 0 {
		t.Error("no copy was found")
	}
}
