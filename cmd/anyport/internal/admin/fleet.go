package admin

import "time"

// FleetStatus is a host's part in a fleet whose source gives the tables. Tables are named by the SHA-256 of
// their text.
type FleetStatus struct {
	Source         string     `json:"source"`
	Host           string     `json:"host"`                      // this host's name in the fleet
	Up             bool       `json:"up"`                        // the source has answered last
	ContactSeconds *float64   `json:"contact_seconds,omitempty"` // since it has; none: it never has
	Problem        string     `json:"problem,omitempty"`         // why it is not up, or why the wanted table cannot be had
	Table          string     `json:"table"`                     // in service; "": none, so nothing is served
	TableSince     *time.Time `json:"table_since,omitempty"`     // this file with this table
	Wanted         string     `json:"wanted"`                    // what the source names for this host; "": not known yet
	Trial          bool       `json:"trial"`                     // only some hosts take it so far
	Serial         int64      `json:"serial"`                    // of the pointer that names it
	Refused        string     `json:"refused,omitempty"`         // the last table that this host has refused, unless another came into service since
	RefusedWhy     string     `json:"refused_why,omitempty"`
	RefusedTotal   uint64     `json:"refused_total"`            // tables since the process began
	Reports        bool       `json:"reports"`                  // this host has a lease for its reports
	ReportProblem  string     `json:"report_problem,omitempty"` // why the last report was not written
	NameTaken      bool       `json:"name_taken"`               // another host reports under this one's name
	DiskProblem    string     `json:"disk_problem,omitempty"`   // why the table is not kept for a start without the source
}
