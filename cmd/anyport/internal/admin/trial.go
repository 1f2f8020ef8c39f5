package admin

import "time"

// What is on trial.
const (
	TrialOfTable   = "table"
	TrialOfProcess = "process"
)

// TrialStatus is a reload that serves a share of the clients, beside the config in service; or a process that serves
// the TCP conns of a share of the clients, beside the one that answers.
type TrialStatus struct {
	Of           string    `json:"of"`               // table or process
	Binary       string    `json:"binary,omitempty"` // of the process
	SharePercent float64   `json:"share_percent"`
	Since        time.Time `json:"since"`
	Old          TrialSide `json:"old"`
	New          TrialSide `json:"new"`
}

// TrialSide is what became of the clients of one of the two tables or processes since the trial began, all routes
// together. Conns that began before are not counted; of processes only TCP is.
type TrialSide struct {
	PID        int                          `json:"pid,omitempty"` // of a process
	Version    string                       `json:"version,omitempty"`
	Generation int                          `json:"generation"`
	Conns      uint64                       `json:"conns_total"` // and flows, here and below
	Active     uint64                       `json:"conns_active"`
	Refused    uint64                       `json:"refused"` // by the kernel or the proxy, because the file says so
	Failed     uint64                       `json:"failed"`  // as errors of routes
	Resets     uint64                       `json:"resets"`  // by either side
	Verdicts   map[string]uint64            `json:"verdicts"`
	Ended      map[string]map[string]uint64 `json:"ended"` // protocol → verdict → conns or flows
}
