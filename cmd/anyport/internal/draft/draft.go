package draft

import (
	"net/netip"

	"anyport/config"
)

// OriginPlaceholder stands in a draft for an origin that is not known. Package config refuses it, and
// says what to write.
const OriginPlaceholder = config.OriginPlaceholder

// File is a configuration file.
type File struct {
	Comments []string // at its top, a line each
	Steering []Setting
	Routes   []*Route
}

// Route is one [route.NAME] table. The keys of what it matches have fields; all others are settings.
type Route struct {
	Name        string
	Comments    []string // before it, a line each: where it comes from
	Protocols   []config.Protocol
	Prefixes    []netip.Prefix
	Ports       []config.PortRange // empty: all
	ExceptPorts []config.PortRange
	Action      config.Action
	Settings    []Setting // in the order in which they are written: origins first
	Health      []Setting // of its health table
}

// Setting is one key. A comment stands at the end of its line.
type Setting struct {
	Key     string
	Value   string // in TOML: see [Text] and [List]
	Comment string
}

// Set adds a setting, or changes the one that is there.
func (r *Route) Set(key, value, comment string) {
	for i, s := range r.Settings {
		if s.Key == key {
			r.Settings[i] = Setting{key, value, comment}
			return
		}
	}
	r.Settings = append(r.Settings, Setting{key, value, comment})
}

// Has reports whether r has a setting of this key.
func (r *Route) Has(key string) bool {
	for _, s := range r.Settings {
		if s.Key == key {
			return true
		}
	}
	return false
}
