package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// TraceFilter selects what a trace shows: what matches both. The zero value is all.
type TraceFilter struct {
	Client Where
	Route  string // "": also dsts that no route takes
}

// ParseTraceFilter reads the parameters of a request.
func ParseTraceFilter(v url.Values) (f TraceFilter, err error) {
	f.Route = v.Get("route")
	if f.Client, err = ParseWhere(v.Get("client")); err != nil {
		err = fmt.Errorf("client: %w", err)
	}
	return f, err
}

// values are the parameters of a request with this filter.
func (f TraceFilter) values() url.Values {
	return FlowFilter{Route: f.Route, Client: f.Client}.values()
}

// The sources of a TraceEvent.
const (
	ByKernel = "kernel" // a packet at the steering program
	ByProxy  = "proxy"  // a step of a conn or flow
	ByTrace  = "trace"  // about the trace itself
)

// Words of TraceEvent.Event.
const (
	TracePacket     = "packet"
	TraceAccepted   = "accepted"
	TraceDialling   = "dialling"
	TraceDialFailed = "dial_failed"
	TraceConnected  = "connected"
	TraceMoved      = "moved"   // a flow, to another origin
	TraceEnded      = "ended"   // what was accepted
	TraceRefused    = "refused" // by the proxy: it was not accepted
	TraceBegin      = "begin"   // the first one: what happens from now on is shown
	TraceLost       = "lost"    // events are missing here
	TraceEnd        = "end"     // the last one: see Reason
)

// TraceUpgrade is the reason of a TraceEnd before an upgrade: another process may serve a moment later, on
// the same socket.
const TraceUpgrade = "upgrade"

// TraceEvent is one line of a trace. Keys that say nothing about an event are left out.
type TraceEvent struct {
	Time     time.Time `json:"time"`
	By       string    `json:"by"`
	Event    string    `json:"event"`
	ID       string    `json:"id,omitempty"` // of the conn or flow, as "anyport flows" and the access log have it
	Protocol string    `json:"protocol,omitempty"`
	Client   string    `json:"client,omitempty"`
	Peer     string    `json:"peer,omitempty"` // what the packets came from, if a PROXY header named the client
	Dst      string    `json:"dst,omitempty"`
	Route    string    `json:"route,omitempty"`
	Verdict  string    `json:"verdict,omitempty"`
	Fate     string    `json:"fate,omitempty"`   // of a packet: steer, refuse, drop, pass or socket
	Reason   string    `json:"reason,omitempty"` // of the verdict on a packet, or of an end of the trace
	Knock    string    `json:"knock,omitempty"`  // step or opened: the packet's port belongs to a sequence of knocks
	Repeated int       `json:"repeated,omitempty"`

	Origin   string  `json:"origin,omitempty"`
	Source   string  `json:"source,omitempty"`
	Attempt  int     `json:"attempt,omitempty"` // how many origins were tried, this one included
	Error    string  `json:"error,omitempty"`   // why the origin did not take it
	Connect  float64 `json:"connect_seconds,omitempty"`
	EndedBy  string  `json:"ended_by,omitempty"`
	Phase    string  `json:"phase,omitempty"`
	ToOrigin *uint64 `json:"bytes_to_origin,omitempty"` // at the end
	ToClient *uint64 `json:"bytes_to_client,omitempty"`
	Seconds  float64 `json:"age_seconds,omitempty"` // from accept to the end

	Lost uint64 `json:"lost,omitempty"`
}

// Trace calls each for every event of a trace, until the anyport ends it, ctx ends or each fails. The
// connection being cut is an error; a TraceEnd is none.
func (c Client) Trace(ctx context.Context, filter TraceFilter, each func(TraceEvent) error) error {
	body, err := c.send(ctx, http.MethodGet, "/trace", filter.values())
	if err != nil {
		return err
	}
	defer body.Close()
	in := json.NewDecoder(body)
	for {
		var e TraceEvent
		switch err := in.Decode(&e); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.unreadable(err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}
