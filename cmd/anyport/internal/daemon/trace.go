package daemon

import (
	"errors"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/api"
)

// errUpgrading refuses a trace while another process is about to serve.
var errUpgrading = errors.New("an upgrade is under way: ask again in a moment")

// Trace shows what happens to the packets, conns and flows of a filter.
func (s service) Trace(filter admin.TraceFilter) (api.Tracer, error) {
	if filter.Route != "" {
		if err := s.d.checkRoute(filter.Route); err != nil {
			return nil, err
		}
	}
	return s.d.traces.Open(filter)
}

// pauseTraces ends all traces before an upgrade: from then on the other process writes to the maps that say
// what is traced.
func (d *daemon) pauseTraces() { d.traces.Pause(admin.TraceUpgrade, errUpgrading) }

// endTraces ends all traces of a process that stops.
func (d *daemon) endTraces() { d.traces.Pause("stopped", errors.New("this anyport has stopped")) }
