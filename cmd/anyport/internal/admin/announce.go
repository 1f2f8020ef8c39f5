package admin

// AnnounceStatus is what is announced to routing daemons, by a kernel table.
type AnnounceStatus struct {
	Table    int            `json:"table"`
	Protocol int            `json:"protocol"` // of the routes, as ip route has it
	Device   string         `json:"device"`   // that they are on
	Metric   int            `json:"metric"`   // of them; 1000 more while their prefix drains
	Prefixes map[string]int `json:"prefixes"` // verdict → prefixes. A route stands for those that are announced, draining or kept
	Problem  string         `json:"problem"`  // why this host cannot serve; "": it can
	Kept     string         `json:"kept"`     // why prefixes stay announced though they should be withdrawn; "": none do
	Error    string         `json:"error"`    // why the kernel does not have the routes that it should; "": it has

	RoutesRestored uint64         `json:"routes_restored"` // that others removed and that were put back
	Parts          []AnnouncePart `json:"parts"`           // the host, then each route that serves
}

// AnnouncePart is one of the things that an announced prefix depends on.
type AnnouncePart struct {
	Route       string  `json:"route"` // "": the host itself
	Verdict     string  `json:"verdict"`
	Flaps       uint64  `json:"flaps"`        // withdrawals because it was not ready
	Penalty     float64 `json:"penalty"`      // for these: it halves in a minute; above 2500 the prefixes wait until it is below 1000
	WaitSeconds float64 `json:"wait_seconds"` // until it is announced, if it stays ready
}
