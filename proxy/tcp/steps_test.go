package tcp

import (
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/buffers"
	"anyport/proxy/pipes"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// The ends and ways of the tables below.
var (
	quiet    = end{}
	sends    = end{readable: true}
	takes    = end{writable: true}
	sendsRST = end{readable: true, writable: true, failed: true}
	isReset  = end{writable: true, failed: true}

	empty    = way{}
	holding  = way{held: new(buffers.Buffer)}
	piping   = way{pipe: &pipes.Pipe{Held: 1}}
	borrowed = way{pipe: &pipes.Pipe{}}
	gotFIN   = way{ended: true}
	heldFIN  = way{ended: true, held: new(buffers.Buffer)}
	sentFIN  = way{ended: true, finished: true}
)

func TestNextStep(t *testing.T) {
	for _, c := range []struct {
		name     string
		way      way
		from, to end
		want     step
	}{
		{"nothing to read", empty, quiet, takes, stepWait},
		{"bytes, and room for them", empty, sends, takes, stepRead},
		{"bytes, and no room: backpressure", empty, sends, quiet, stepWait},
		{"held bytes go before new ones", holding, sends, takes, stepFlush},
		{"held bytes, and no room", holding, sends, quiet, stepWait},
		{"a pipe's bytes", piping, sends, takes, stepFlush},
		{"an empty pipe", borrowed, sends, takes, stepRead},
		{"FIN", gotFIN, quiet, takes, stepFIN},
		{"FIN needs no room", gotFIN, quiet, quiet, stepFIN},
		{"held bytes go before FIN", heldFIN, quiet, takes, stepFlush},
		{"FIN waits for held bytes", heldFIN, quiet, quiet, stepWait},
		{"after FIN", sentFIN, sends, takes, stepWait},
		{"to an end that is gone", empty, sends, isReset, stepWait},
		{"FIN to an end that is gone", gotFIN, quiet, isReset, stepWait},
		{"what came before RST", empty, sendsRST, takes, stepRead},
		{"what is held of before RST", holding, isReset, takes, stepFlush},
	} {
		if got := c.way.nextStep(&c.from, &c.to); got != c.want {
			t.Errorf("%s: step %d, want %d", c.name, got, c.want)
		}
	}
}

func TestFate(t *testing.T) {
	for _, c := range []struct {
		name               string
		toOrigin, toClient way
		client, origin     end
		want               route.Verdict
	}{
		{"alive", empty, empty, sends, takes, route.Undecided},
		{"client closed", sentFIN, empty, quiet, takes, route.Undecided},
		{"origin closed", empty, sentFIN, takes, quiet, route.Undecided},
		{"both closed", sentFIN, sentFIN, quiet, quiet, route.Closed},
		{"both closed, the second FIN is still held", sentFIN, heldFIN, quiet, takes, route.Undecided},
		{"client reset", empty, empty, isReset, takes, route.ResetByClient},
		{"origin reset", empty, empty, takes, isReset, route.ResetByOrigin},
		{"client reset, its last bytes can go", empty, empty, sendsRST, takes, route.Undecided},
		{"client reset, its last bytes can't", empty, empty, sendsRST, quiet, route.ResetByClient},
		{"client reset while the origin stalls", holding, empty, isReset, quiet, route.ResetByClient},
		{"origin reset, held bytes can go", empty, holding, takes, isReset, route.Undecided},
		{"reset after FIN", sentFIN, empty, isReset, takes, route.ResetByClient},
		{"FIN that an error stands behind", gotFIN, empty, isReset, takes, route.ResetByClient},
		{"both reset", empty, empty, isReset, isReset, route.ResetByClient},
		{"reset after both FINs", sentFIN, sentFIN, isReset, isReset, route.Closed},
	} {
		conn := &conn{state: relaying, ways: [2]way{c.toOrigin, c.toClient}, ends: [2]end{c.client, c.origin}}
		if got := conn.verdict(); got != c.want {
			t.Errorf("%s: verdict %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		name           string
		client, origin end
		want           dialResult
	}{
		{"no answer yet", takes, quiet, dialPending},
		{"the client sends first", sends, quiet, dialPending},
		{"the client has sent FIN", end{readable: true, hungUp: true}, quiet, dialPending},
		{"accepted", takes, takes, dialAccepted},
		{"accepted, and the origin speaks first", takes, end{readable: true, writable: true}, dialAccepted},
		{"refused", takes, isReset, dialRejected},
		{"the client reset", isReset, quiet, dialAbandoned},
		{"the client reset just as the origin accepted", isReset, takes, dialAbandoned},
	} {
		conn := &conn{ends: [2]end{c.client, c.origin}}
		if got := conn.dialResult(); got != c.want {
			t.Errorf("%s: answer %d, want %d", c.name, got, c.want)
		}
	}
}

func TestDeadline(t *testing.T) {
	timeouts := config.Timeouts{Connect: 5 * time.Second, Idle: time.Hour, HalfClose: time.Minute}
	const dialled, active = 100 * time.Second, 200 * time.Second
	for _, c := range []struct {
		name    string
		state   state
		ways    [2]way
		drained time.Duration
		change  func(*config.Timeouts)
		at      time.Duration
		verdict route.Verdict
	}{
		{"dialling", dialling, [2]way{}, 0, nil, dialled + 5*time.Second, route.ConnectTimedOut},
		{"dialling, no timeout", dialling, [2]way{}, 0, func(t *config.Timeouts) { t.Connect = 0 }, wheel.Never, route.ConnectTimedOut},
		{"dialling, an endless timeout", dialling, [2]way{}, 0, func(t *config.Timeouts) { t.Connect = wheel.Never }, wheel.Never, route.ConnectTimedOut},
		{"idle", relaying, [2]way{}, 0, nil, active + time.Hour, route.IdleTimedOut},
		{"FIN is read but not passed on", relaying, [2]way{heldFIN}, 0, nil, active + time.Hour, route.IdleTimedOut},
		{"client closed", relaying, [2]way{sentFIN}, 0, nil, active + time.Minute, route.HalfCloseTimedOut},
		{"origin closed", relaying, [2]way{1: sentFIN}, 0, nil, active + time.Minute, route.HalfCloseTimedOut},
		{"half closed, idle is shorter", relaying, [2]way{sentFIN}, 0, func(t *config.Timeouts) { t.Idle = time.Second }, active + time.Second, route.IdleTimedOut},
		{"max_age", relaying, [2]way{}, 0, func(t *config.Timeouts) { t.MaxAge = 10 * time.Second }, maxAgeOf(10 * time.Second), route.MaxAge},
		{"max_age, idle is shorter", relaying, [2]way{}, 0, func(t *config.Timeouts) { t.MaxAge = 9 * time.Hour }, active + time.Hour, route.IdleTimedOut},
		{"max_age does not count a dial", dialling, [2]way{}, 0, func(t *config.Timeouts) { t.MaxAge = time.Millisecond }, dialled + 5*time.Second, route.ConnectTimedOut},
		{"draining before max_age", relaying, [2]way{}, 1, func(t *config.Timeouts) { t.MaxAge = time.Minute }, 1, route.DrainTimedOut},
		{"draining", relaying, [2]way{}, active + 1, nil, active + 1, route.DrainTimedOut},
		{"draining later than idle", relaying, [2]way{}, active + 2*time.Hour, nil, active + time.Hour, route.IdleTimedOut},
		{"draining while dialling", dialling, [2]way{}, dialled + 1, nil, dialled + 1, route.DrainTimedOut},
	} {
		limits := timeouts
		if c.change != nil {
			c.change(&limits)
		}
		conn := &conn{state: c.state, ways: c.ways, dialled: dialled, active: active, drained: c.drained}
		if at, v := conn.deadline(limits); at != c.at || v != c.verdict {
			t.Errorf("%s: %v at %v, want %v at %v", c.name, v, at, c.verdict, c.at)
		}
	}
}

// maxAgeOf is when a conn without addresses that began with the loop ends.
func maxAgeOf(age time.Duration) time.Duration { return (&conn{state: relaying}).maxAgeAt(age) }

func TestStreak(t *testing.T) {
	for _, c := range []struct {
		name  string
		reads []int
		bulk  bool
	}{
		{"one full read", []int{buffers.Size}, false},
		{"full reads in a row", []int{buffers.Size, buffers.Size}, true},
		{"a small read between", []int{buffers.Size, 100, buffers.Size}, false},
		{"a middling read between", []int{buffers.Size, bulkLeast, buffers.Size}, true},
		{"bulk goes on with middling reads", []int{buffers.Size, buffers.Size, bulkLeast, bulkLeast}, true},
		{"bulk ends with a small one", []int{buffers.Size, buffers.Size, bulkLeast - 1}, false},
		{"splices of more than a buffer", []int{buffers.Size, buffers.Size, pipes.Large, pipes.Large}, true},
	} {
		n := uint8(0)
		for _, read := range c.reads {
			n = nextStreak(n, read)
		}
		if got := n >= bulkStreak; got != c.bulk {
			t.Errorf("%s: bulk is %v, want %v", c.name, got, c.bulk)
		}
	}
}
