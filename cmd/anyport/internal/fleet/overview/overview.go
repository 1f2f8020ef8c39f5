package overview

import (
	"context"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// Overview is the answer of anyport fleet. Its JSON is that of --json: a key may be added, none may change its
// meaning.
type Overview struct {
	Source   string     `json:"source"`
	Table    fleet.Hash `json:"table"` // current; "": none yet
	Size     int        `json:"size"`  // of its text, in bytes
	Created  time.Time  `json:"created,omitzero"`
	By       string     `json:"by"`       // who has pushed it
	Previous fleet.Hash `json:"previous"` // where push --back goes
	Serial   int64      `json:"serial"`   // of the pointer
	Push     *Push      `json:"push"`     // that runs; null: none
	Hosts    []Host     `json:"hosts"`    // by name
	Differ   int        `json:"differ"`   // how many of them differ from what they should be
}

// Push is a push that runs.
type Push struct {
	By    string     `json:"by"`
	Began time.Time  `json:"began"`
	Table fleet.Hash `json:"table"`
	Stage string     `json:"stage"` // "": it has not moved the pointer yet
	Hosts []string   `json:"hosts"` // that should serve its table
}

// Host is the report of a host, and what it should be.
type Host struct {
	fleet.Report
	Wanted    fleet.Hash     `json:"wanted"`    // the table that it should serve
	Differs   []Difference   `json:"differs"`   // empty: as it should be
	Namesakes []fleet.Report `json:"namesakes"` // other hosts that have its name by mistake
}

// Difference is a way in which a host is not as it should be.
type Difference string

// The differences.
const (
	Table   Difference = "table"   // it serves another one than it should
	Refused Difference = "refused" // because it refused that
	Unready Difference = "unready" // it serves nobody, and nobody drains it
	Version Difference = "version" // most hosts have another one
	Name    Difference = "name"    // another host has the same
)

// Read reads the store.
func Read(ctx context.Context, source string, store fleet.Store) (Overview, error) {
	state, err := store.State(ctx)
	if err != nil {
		return Overview{}, err
	}
	reports, err := store.Hosts(ctx)
	if err != nil {
		return Overview{}, err
	}
	namesakes, err := store.Namesakes(ctx)
	if err != nil {
		return Overview{}, err
	}
	tables, err := store.Tables(ctx)
	if err != nil {
		return Overview{}, err
	}
	o := of(state, reports, namesakes, tables)
	o.Source = source
	return o, nil
}

// of judges each host by the pointer, and by the others. A host that has no contact is not in reports, and nothing
// here misses it: a fleet has no list of the hosts that ought to be there.
func of(state fleet.State, reports, namesakes []fleet.Report, tables []fleet.Manifest) Overview {
	o := Overview{Table: state.Pointer.Table, Previous: state.Pointer.Previous, Serial: state.Pointer.Serial, Hosts: []Host{}}
	if i := slices.IndexFunc(tables, func(m fleet.Manifest) bool { return m.Table == o.Table }); i >= 0 {
		o.Size, o.Created, o.By = tables[i].Size, tables[i].Created, tables[i].By
	}
	if p := state.Push; p != nil {
		o.Push = &Push{By: p.By, Began: p.Began, Table: p.Table, Hosts: []string{}}
		if state.TrialRuns() {
			o.Push.Stage, o.Push.Hosts = state.Pointer.Trial.Stage, state.Pointer.Trial.Hosts
		}
	}
	version := usualVersion(reports)
	for _, r := range reports {
		h := Host{Report: r, Wanted: state.Table(r.Host), Namesakes: []fleet.Report{}}
		for _, n := range namesakes {
			if n.Host == r.Host {
				h.Namesakes = append(h.Namesakes, n)
			}
		}
		h.Differs = differences(h, version)
		if len(h.Differs) > 0 {
			o.Differ++
		}
		o.Hosts = append(o.Hosts, h)
	}
	return o
}

// differences compares a host with what it should be. One that has just been told of another table differs for a
// second or two.
func differences(h Host, version string) []Difference {
	differs := []Difference{}
	if h.Table != h.Wanted {
		differs = append(differs, Table)
		if h.ErrorTable == h.Wanted && h.LastError != "" {
			differs = append(differs, Refused)
		}
	}
	if !h.Ready && !h.Draining {
		differs = append(differs, Unready)
	}
	if h.Report.Version != version {
		differs = append(differs, Version)
	}
	if len(h.Namesakes) > 0 {
		differs = append(differs, Name)
	}
	return differs
}

// usualVersion is the version of most hosts: of equally many the one that more recent processes have.
func usualVersion(reports []fleet.Report) (usual string) {
	count, newest := map[string]int{}, map[string]time.Time{}
	for _, r := range reports {
		count[r.Version]++
		if r.Began.After(newest[r.Version]) {
			newest[r.Version] = r.Began
		}
	}
	for version, n := range count {
		if n > count[usual] || n == count[usual] && newest[version].After(newest[usual]) {
			usual = version
		}
	}
	return usual
}
