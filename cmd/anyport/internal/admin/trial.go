package admin

import "time"

// TrialStatus is a reload that serves a share of the clients, beside the config in service.
type TrialStatus struct {
	SharePercent float64   `json:"share_percent"`
	Since        time.Time `json:"since"`
	Old          TrialSide `json:"old"`
	New          TrialSide `json:"new"`
}

// TrialSide is what became of the clients of one of the two tables since the trial began, all routes together. Conns
// that began before are not counted.
type TrialSide struct {
	Generation int                          `json:"generation"`
	Conns      uint64                       `json:"conns_total"` // and flows, here and below
	Active     uint64                       `json:"conns_active"`
	Refused    uint64                       `json:"refused"` // by the kernel or the proxy, because the file says so
	Failed     uint64                       `json:"failed"`  // as errors of routes
	Resets     uint64                       `json:"resets"`  // by either side
	Verdicts   map[string]uint64            `json:"verdicts"`
	Ended      map[string]map[string]uint64 `json:"ended"` // protocol → verdict → conns or flows
}
