package daemon

import (
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering"
)

// standingTimeout is how long event loops may stand still before /livez fails. Two looks find them so: one alone
// may come before a loop has had the time to begin.
const standingTimeout = 2 * askLoops

// Live fails while event loops stand still.
func (s service) Live() admin.Health {
	return admin.NewHealth(loopCondition(s.d.standing.Load(), int(s.d.stuck.Load()), s.d.proxy.Loops(), time.Now()))
}

// loopCondition judges loops some of which stand still since a time in ns; 0: none does.
func loopCondition(since int64, stuck, loops int, now time.Time) admin.Condition {
	c := admin.Condition{Name: "event_loops"}
	if since != 0 && now.Sub(time.Unix(0, since)) >= standingTimeout {
		c.Failed = fmt.Sprintf("%d of %d event loops do not turn", stuck, loops)
	}
	return c
}

// Ready holds while new conns to the served prefixes come to this process, and are taken. It asks the
// kernel, but reads no counters.
func (s service) Ready() admin.Health {
	d := s.d
	kernel, err := d.steering.Readiness()
	conditions := kernelConditions(kernel, err)
	stopping, draining, replaced := admin.Condition{Name: "stopping"}, admin.Condition{Name: "draining"}, admin.Condition{Name: "replaced"}
	if d.stopping.Load() {
		stopping.Failed = "an order to stop has come: no new conns are taken"
	}
	if d.drainsAll() {
		draining.Failed = "all routes are drained: anyport drain --undo ends that"
	}
	if next := d.successor.Load(); next != 0 {
		replaced.Failed = fmt.Sprintf("another process, pid %d, serves since an upgrade", next)
	}
	fleet := admin.Condition{Name: "fleet", Failed: d.tableProblem()}
	return admin.NewHealth(append(conditions, stopping, draining, replaced, fleet)...)
}

// kernelConditions judge what the kernel has. If it could not be asked, err says why.
func kernelConditions(r steering.Readiness, err error) []admin.Condition {
	listeners, steered, table := admin.Condition{Name: "listeners"}, admin.Condition{Name: "steering"}, admin.Condition{Name: "table"}
	switch {
	case err != nil:
		steered.Failed = err.Error()
	case r.Closed:
		listeners.Failed, steered.Failed = "the listeners are closed", "the steering is closed"
	default:
		listeners.Failed = strings.Join(r.Sockets, "; ")
		table.Failed = r.Table
		if steered.Failed = strings.Join(r.Missing, "; "); r.Link != "" {
			steered.Failed = "the steering program is " + r.Link
		}
	}
	return []admin.Condition{listeners, steered, table}
}
