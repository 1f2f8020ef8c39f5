package tcp

import (
	"anyport/proxy/route"
	"anyport/proxy/tcp/buffers"
)

// What a conn does next is decided here, from its state alone.

// dialResult is what has become of the dial under way.
type dialResult uint8

const (
	dialPending dialResult = iota
	dialAccepted
	dialRejected
	dialAbandoned // the client has gone; one that sent FIN has not
)

func (c *conn) dialResult() dialResult {
	switch {
	case c.ends[clientEnd].failed:
		return dialAbandoned
	case c.ends[originEnd].failed:
		return dialRejected
	case c.ends[originEnd].writable:
		return dialAccepted
	}
	return dialPending
}

// step is what a way does next.
type step uint8

const (
	stepWait  step = iota // until an event changes something
	stepFlush             // hand over what is held
	stepRead              // read, and hand it over
	stepFIN               // pass FIN on
)

// nextStep is the step of the way from one end to the other. Nothing is read that
// has nowhere to go: a stalled reader stops its sender.
func (w *way) nextStep(from, to *end) step {
	switch {
	case w.finished || to.failed:
		return stepWait
	case w.holds():
		if to.writable {
			return stepFlush
		}
		return stepWait
	case w.ended:
		return stepFIN
	case from.readable && to.writable:
		return stepRead
	}
	return stepWait
}

func (c *conn) nextStep(d route.Direction) step {
	return c.ways[d].nextStep(&c.ends[d], &c.ends[1-d])
}

// verdict is the verdict of a conn that is to end now, and Undecided for one that
// lives on. What an end sent before its RST is passed on first, as long as that
// needs no waiting.
func (c *conn) verdict() route.Verdict {
	switch {
	case c.ways[route.ToOrigin].finished && c.ways[route.ToClient].finished:
		return route.Closed
	case c.ends[clientEnd].failed && c.nothingToMove(route.ToOrigin):
		return route.ResetByClient
	case c.ends[originEnd].failed && c.nothingToMove(route.ToClient):
		return route.ResetByOrigin
	}
	return route.Undecided
}

// nothingToMove says that the way has nothing more to move now.
func (c *conn) nothingToMove(d route.Direction) bool {
	step := c.nextStep(d)
	return step == stepWait || step == stepFIN
}

// hasSteps says that the conn has more to do before it waits for events.
func (c *conn) hasSteps() bool {
	return c.nextStep(route.ToOrigin) != stepWait || c.nextStep(route.ToClient) != stepWait
}

const (
	bulkStreak = 2        // this many reads that filled the buffer make a way bulk
	bulkLeast  = 16 << 10 // less than this at once ends it
	turnSteps  = 8        // of a way, before other conns have their turn
)

// nextStreak is the number of large reads in a row, after one of n bytes.
func nextStreak(before uint8, n int) uint8 {
	switch {
	case n < bulkLeast:
		return 0
	case n >= buffers.Size && before < bulkStreak:
		return before + 1
	}
	return before
}
