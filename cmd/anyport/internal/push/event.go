package push

import (
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/proxy/logfile"
)

// Event is something that a push says while it runs. Its JSON is a line of push --json.
type Event struct {
	Event  Kind          `json:"event"`
	Table  fleet.Hash    `json:"table,omitempty"`
	Stage  int           `json:"stage,omitempty"`  // from 1
	Stages int           `json:"stages,omitempty"` // of the push
	Part   string        `json:"part,omitempty"`   // of the stage, as it was typed
	Hosts  []string      `json:"hosts,omitempty"`
	Left   float64       `json:"seconds_left,omitempty"` // of the hold
	Tried  *fleet.Totals `json:"tried,omitempty"`        // conns of the stage's hosts since it began
	Others *fleet.Totals `json:"others,omitempty"`       // what they are compared with
	Why    string        `json:"why,omitempty"`
}

// Kind says what has happened.
type Kind string

// The kinds of events.
const (
	Stored  Kind = "stored"  // the table is in the source
	Begins  Kind = "stage"   // the pointer names it for more hosts
	Serves  Kind = "serves"  // hosts report it
	Holds   Kind = "holds"   // all hosts of the stage do, since a while
	Held    Kind = "held"    // the stage is over
	Away    Kind = "away"    // the source does not answer
	BackTo  Kind = "back"    // the pointer names the table before
	Returns Kind = "returns" // hosts report that one again
	Remains Kind = "remains" // hosts do not, after a while
	Done    Kind = "done"    // the table is that of all hosts
)

// String is the event as one line. A host's error may have several.
func (e Event) String() string {
	return logfile.PrintableText(strings.Join(strings.Fields(e.prefix()+e.text()), " "))
}

// prefix names the stage, for those events that belong to one.
func (e Event) prefix() string {
	if e.Stage == 0 {
		return ""
	}
	return fmt.Sprintf("stage %d/%d (%s): ", e.Stage, e.Stages, e.Part)
}

func (e Event) text() string {
	hosts := listed(e.Hosts)
	switch e.Event {
	case Stored:
		return fmt.Sprintf("table %s is stored", e.Table.Short())
	case Begins:
		return fmt.Sprintf("table %s goes to %s", e.Table.Short(), hosts)
	case Serves:
		return fmt.Sprintf("%s: serves %s", hosts, e.Table.Short())
	case Holds:
		return fmt.Sprintf("%v left, %s", time.Duration(e.Left*float64(time.Second)).Round(time.Second), e.counts())
	case Held:
		return "held, " + e.counts()
	case Away:
		return "the source does not answer: " + e.Why
	case BackTo:
		return fmt.Sprintf("back to table %s: %s", e.Table.Short(), e.Why)
	case Returns:
		return fmt.Sprintf("back: %s serves %s again", hosts, e.Table.Short())
	case Remains:
		return fmt.Sprintf("back: %s does not serve %s yet", hosts, e.Table.Short())
	case Done:
		if len(e.Hosts) == 0 {
			return fmt.Sprintf("done: table %s is current: %s", e.Table.Short(), e.Why)
		}
		return fmt.Sprintf("done: table %s is current, on %s", e.Table.Short(), hosts)
	}
	return string(e.Event)
}

// counts compares the conns.
func (e Event) counts() string {
	if e.Tried == nil || e.Others == nil || e.Tried.Conns == 0 {
		return "no conns: only readiness was judged"
	}
	var parts []string
	for _, k := range kinds {
		here, there := part(k.of(*e.Tried), e.Tried.Conns), part(k.of(*e.Others), e.Others.Conns)
		if e.Others.Conns == 0 {
			there = "?"
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", k.name, here, there))
	}
	return fmt.Sprintf("%d conns: %s", e.Tried.Conns, strings.Join(parts, ", "))
}

// listed keeps a line readable: JSON has all hosts.
func listed(hosts []string) string {
	const most = 5
	if len(hosts) <= most {
		return strings.Join(hosts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(hosts[:most], ", "), len(hosts)-most)
}
