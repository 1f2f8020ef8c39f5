package tcp_test

import (
	"io"
	"testing"
	"time"

	"anyport/proxy/route"
)

// A conn that has no files yet is listed, and can be killed; it keeps its id once there are files for it.
func TestParkedIsListed(t *testing.T) {
	p := serve(t, forward(origin(t, echo)))
	for _, q := range p.files { // all of them
		for q.Take(1) {
		}
	}
	steps := make(chan route.Traced, 100)
	p.live.SetTrace(func(e route.Traced) { steps <- e })
	c := p.dial()
	parked := p.listed("parked")
	if parked.Client.String() != c.LocalAddr().String() || parked.Route != "test" || parked.Dst.String() != p.addr || parked.ID == 0 {
		t.Errorf("listed %+v", parked)
	}
	if n := p.live.Kill(func(c *route.Conn) bool { return c.ID == parked.ID }); n != 1 {
		t.Errorf("%d conns were killed, want 1", n)
	}
	if r := p.ends(route.Killed); r.ID != parked.ID || r.Client != parked.Client {
		t.Errorf("recorded %+v", r)
	}
	if _, err := io.ReadAll(c); err == nil {
		t.Error("the client saw no RST")
	}
	select {
	case e := <-steps:
		if e.Step != route.StepRefused || e.ID != parked.ID || e.Verdict != route.Killed {
			t.Errorf("traced %+v", e)
		}
	case <-time.After(patience):
		t.Error("not traced")
	}
	p.live.SetTrace(nil)
	c = p.dial()
	parked = p.listed("parked")
	for _, q := range p.files {
		q.Give(q.Held())
	}
	say(t, c, "hello")
	hear(t, c, "hello")
	c.Close()
	if r := p.ends(route.Closed); r.ID != parked.ID {
		t.Errorf("the id was %v, and is %v once the conn is served", parked.ID, r.ID)
	}
}

// listed waits until one conn is listed, in this state.
func (p *proxy) listed(state string) (only route.Conn) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		n := 0
		for page := range p.live.Conns {
			for _, c := range page {
				only = c
				n++
			}
		}
		if n == 1 && only.State.String() == state {
			return only
		}
	}
	p.t.Fatalf("no conn is listed as %q", state)
	return only
}
