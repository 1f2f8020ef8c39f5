package origin

import (
	"fmt"
	"strings"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// Candidate is one origin of a route, and how it stands for a new conn or flow.
type Candidate struct {
	*Origin
	State string // a word or two; "": nothing speaks against it
	Why   string // the sentence for it
}

// Explain says how each origin stands for a new conn or flow (a.Port is that of dst), and what the route
// makes of that. Tried is not looked at.
func (p *Pool) Explain(a Ask) (candidates []Candidate, because []string) {
	a.Tried = nil
	for _, o := range p.Origins {
		state, why := o.explain(a, p.route.SlowStart)
		candidates = append(candidates, Candidate{o, state, why})
	}
	return candidates, p.explainAll(a)
}

// explain is the first thing that speaks against o, in the order in which Pick looks at them.
func (o *Origin) explain(a Ask, slowStart time.Duration) (state, why string) {
	s := o.State()
	switch verdict := o.Standing(); {
	case o.vanished:
		return "gone", "its name no longer has this address: it only ends the conns that it has"
	case verdict == health.ForcedDown:
		return verdict.String(), "an operator has forced it down" + since(s.Since) + ": anyport origin ready undoes that"
	case verdict == health.ForcedDrain:
		return verdict.String(), "an operator has it drain" + since(s.Since) + ": anyport origin ready undoes that"
	case verdict == health.NoWeight:
		return verdict.String(), "its weight is 0: it gets nothing new"
	case verdict == health.CheckFailed:
		return verdict.String(), "its checks have failed" + since(s.Since) + reason(s.Why)
	}
	e, _ := o.refusals(a.Protocol).of(whole)
	switch {
	case e.Holds(a.Now) && a.Protocol == config.TCP:
		return health.Ejected.String(), fmt.Sprintf("dials of it have failed%s: it is left out until %s, unless all others fail too", since(e.Since), e.Until.Format(time.TimeOnly))
	case e.Holds(a.Now):
		return health.Ejected.String(), "it has refused datagrams" + since(e.Since) + ": it is left out for a while, unless all others are too"
	case !o.takes(a):
		return "port refused", fmt.Sprintf("it has refused port %d: it is left out for that port for a while, unless all others are too", o.Port(a.Port))
	case o.Full():
		return "full", fmt.Sprintf("it has its max_conns, %d", o.MaxConns)
	}
	if part := o.share(slowStart, a.Protocol, a.Now) / float64(o.CurrentWeight()); part < 1 {
		return "slow start", fmt.Sprintf("it has come back: slow_start gives it %.0f %% of its share", 100*part)
	}
	return "", ""
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.Format(time.TimeOnly)
}

func reason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + strings.ReplaceAll(why, "\n", " ")
}

// explainAll says what the states of all origins lead to, if that is not the usual choice.
func (p *Pool) explainAll(a Ask) (because []string) {
	up, serving := p.countUp(a)
	switch {
	case p.refusesAll():
		return []string{`no origin is up, and on_all_down = "refuse": ` + refusedBy(a.Protocol)}
	case up == 0 && serving > 0:
		because = append(because, fmt.Sprintf(`no origin is up: all %d that no operator has taken out are tried`, serving))
	case health.Panics(up, serving, p.route.PanicThreshold):
		because = append(because, fmt.Sprintf("%d of %d origins are up, fewer than panic_threshold = %d percent: all are picked from as if they were up", up, serving, p.route.PanicThreshold))
	case p.usesBackup(a):
		because = append(because, "every origin that is not a backup is out: the backups serve")
	}
	if !p.HasRoom(a) {
		because = append(because, p.explainFull(a))
	}
	return because
}

func refusedBy(p config.Protocol) string {
	if p == config.TCP {
		return "the kernel refuses new conns"
	}
	return "datagrams that would begin a flow are dropped"
}

// usesBackup reports whether only backups are left.
func (p *Pool) usesBackup(a Ask) bool {
	backup := false
	for _, o := range p.Origins {
		if !a.findsUp(o) {
			continue
		}
		if !o.Backup && o.takes(a) {
			return false
		}
		backup = backup || o.Backup
	}
	return backup
}

// explainFull says what a new conn gets while no origin can be picked.
func (p *Pool) explainFull(a Ask) string {
	switch {
	case !p.HasFull(a):
		return "no origin takes anything new: it is refused"
	case p.route.Queue > 0 && a.Protocol == config.TCP:
		return fmt.Sprintf("every origin that is left has its max_conns: a new conn waits for up to %v, with %d of queue = %d that wait already", p.route.Queued, p.Queue(a).Waiting(), p.route.Queue)
	}
	return "every origin that is left has its max_conns: it is refused"
}
