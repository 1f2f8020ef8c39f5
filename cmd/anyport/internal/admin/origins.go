package admin

import "time"

// ResolverStatus says how DNS names are resolved.
type ResolverStatus struct {
	Servers []string     `json:"servers"` // of /etc/resolv.conf, in the order in which they are asked
	Search  []string     `json:"search"`
	Error   string       `json:"error,omitempty"` // why /etc/hosts or /etc/resolv.conf could not be read again
	Names   []NameStatus `json:"names"`
}

// NameStatus is what is known of one DNS name.
type NameStatus struct {
	Name       string   `json:"name"`
	Addresses  []string `json:"addresses"`
	TTLSeconds float64  `json:"ttl_seconds"`     // until it is resolved again
	Server     string   `json:"server"`          // that answered last, or /etc/hosts
	Error      string   `json:"error,omitempty"` // why the last try failed: the addresses are the last good ones
}

// OriginStatus is one origin of a route.
type OriginStatus struct {
	Address string `json:"address"`
	Name    string `json:"name,omitempty"` // the DNS name that the address is of
	Gone    bool   `json:"gone,omitempty"` // the name no longer has it: it only ends the conns that it has
	Up      bool   `json:"up"`
	Forced  string `json:"forced"` // the state forced by hand: "drain" or "down"; "" = none
	Weight  int    `json:"weight"` // for new conns; an operator's until the next reload

	State   string            `json:"state"`           // "up", or why it is not: "check_failed", "ejected", "forced_down", …
	Why     string            `json:"why"`             // the reason of the last change
	Since   *time.Time        `json:"since,omitempty"` // of the last change; none: nothing has changed
	Changes map[string]uint64 `json:"changes"`         // state → how often the origin came to it

	Health string `json:"health"` // "unchecked", "up" or "down": unchecked while no check has said anything

	LastError     string            `json:"last_error"`              // a word: "refused", "timeout", "unreachable", …; "": there was none
	LastErrno     string            `json:"last_errno"`              // "ECONNREFUSED", …; "": it has none
	LastErrorAt   *time.Time        `json:"last_error_at,omitempty"` // none: there was none
	FailingSince  *time.Time        `json:"failing_since,omitempty"` // while nothing has succeeded since: the first error of these
	ConnectErrors map[string]uint64 `json:"connect_errors"`          // error → conns and flows that the origin did not take

	CheckedAt    *time.Time `json:"checked_at,omitempty"` // the last active check; none: there was none
	CheckSeconds float64    `json:"check_seconds"`
	CheckFailed  string     `json:"check_failed"`  // why; "": it passed
	ChecksFailed uint64     `json:"checks_failed"` // in all

	EjectedSince *time.Time `json:"ejected_since,omitempty"` // over TCP: while the origin is left out for that, it is not up
	FailedDials  uint64     `json:"failed_dials"`

	RefusedSince *time.Time `json:"refused_since,omitempty"` // over UDP: while the origin is left out for that, it is not up
	RefusedPorts int        `json:"refused_ports"`           // of an origin with many ports: those left out
	Refusals     uint64     `json:"refusals"`                // ICMP errors that UDP flows have met

	ConnsActive int64  `json:"conns_active"`
	ConnsTotal  uint64 `json:"conns_total"`
	ConnsPeak   int64  `json:"conns_peak"` // the most at once since the process began
	MaxConns    int    `json:"max_conns"`  // of the file; 0: no limit
	Backup      bool   `json:"backup"`

	NewPeak float64    `json:"new_per_second_peak"`   // the most that it was given in a second since the process began
	LastNew *time.Time `json:"last_new_at,omitempty"` // when it was given one last, to a second; none: none since the process began

	ConnectSeconds *float64 `json:"average_connect_seconds,omitempty"` // as in RouteStatus, here and below
	SessionSeconds *float64 `json:"average_session_seconds,omitempty"`
	Retries        uint64   `json:"retries"`                    // dials that were not the first of their conn or flow
	Moves          uint64   `json:"left"`                       // conns and flows that went on to another server after a dial of this one had failed
	DownSeconds    float64  `json:"down_seconds"`               // how long it was down, by its checks or by hand, or ejected
	TimesDown      uint64   `json:"times_down"`                 // how often that began
	SlowStart      *float64 `json:"slow_start_share,omitempty"` // the part of its weight that it gets while it comes back; none: all of it

	Accepts      uint64  `json:"-"` // only for /metrics: conns that it has accepted
	AcceptTime   float64 `json:"-"` // seconds from the dials until then, all together
	Sessions     uint64  `json:"-"` // conns and flows of it that have ended
	SessionsTime float64 `json:"-"` // seconds that these have lasted, all together

	BytesToOrigin uint64 `json:"bytes_to_origin"` // payload
	BytesToClient uint64 `json:"bytes_to_client"`

	SourcePorts map[string]int64 `json:"source_ports_used,omitempty"` // source address, or "auto" on routes without source → local ports that live TCP conns use
}
