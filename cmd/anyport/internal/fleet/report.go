package fleet

import "time"

// Report is what a host says about itself. It is held by a lease: it goes when the host does not
// renew it for LeaseTime.
type Report struct {
	Host       string    `json:"host"`
	Instance   string    `json:"instance"` // of the process and those that upgrades put in its place; a start makes another one
	Place      string    `json:"place"`    // where the process runs: see follow.Place
	Hostname   string    `json:"hostname"` // of its kernel: Host may be another name
	Version    string    `json:"version"`
	Table      Hash      `json:"table"`      // in service; "": none
	Since      time.Time `json:"since"`      // when it came into service
	Serial     int64     `json:"serial"`     // of the pointer that the host has seen last
	Generation int       `json:"generation"` // of the process, which counts its reloads
	Began      time.Time `json:"began"`      // of the process: Totals begin again if they are not saved

	Ready      bool `json:"ready"`
	Draining   bool `json:"draining"`
	Announcing bool `json:"announcing"`
	Kept       bool `json:"kept,omitempty"` // it announces only because too few others do: it is not ready

	Conns  int64  `json:"conns"` // live ones
	Flows  int64  `json:"flows"`
	Totals Totals `json:"totals"`

	LastError  string `json:"last_error,omitempty"`  // why a table was refused; "": the last one was not
	ErrorTable Hash   `json:"error_table,omitempty"` // which one

	Written time.Time `json:"written"` // by the host's clock
}

// Totals count conns and flows since the host's process began, or since before that if it keeps counters.
type Totals struct {
	Conns   uint64 `json:"conns"`   // all that asked, whatever became of them
	Refused uint64 `json:"refused"` // by a limit, a list, or because no origin was up
	Failed  uint64 `json:"failed"`  // no origin could be reached
	Reset   uint64 `json:"reset"`   // ended by an error of either side
}

// The times of a report.
const (
	LeaseTime     = 10 * time.Second
	ReportChanged = 2 * time.Second // how often a report is written that changes
	ReportSame    = 5 * time.Second // and one that does not
)

// Replaces reports whether r may stand in place of a report that another lease holds: it is from the same host. After an
// upgrade the new process has the instance of the old one; after a crash it runs in the same place, and began later.
func (r Report) Replaces(other Report) bool {
	return r.Instance == other.Instance || r.Place != "" && r.Place == other.Place && !r.Began.Before(other.Began)
}

// OthersSuffice reports whether at least minHosts other hosts announce, without those that have said that they
// stop, that drain, or that are not ready themselves.
func OthersSuffice(host string, reports []Report, withdrawn func(host string) bool, minHosts int) bool {
	others := 0
	for _, r := range reports {
		if r.Host != host && r.Announcing && !r.Kept && !r.Draining && !withdrawn(r.Host) {
			others++
		}
	}
	return others >= minHosts
}
