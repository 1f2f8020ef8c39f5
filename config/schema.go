package config

import "slices"

// A schema is all tables that a file can have.
type schema []tableKeys

// tableKeys are the keys of one kind of table.
type tableKeys struct {
	section string // as in table
	header  string // how a file opens it; "" where a message cannot send a key there
	names   []string
}

// fileSchema is handed to those who read a file as a field of their report: the keys' own
// readers use it, and a variable cannot be initialized with what refers to it.
var fileSchema = schema{
	{"", "", []string{"listen", "steering", "admin", "log", "fleet", "knock", "announce", "defaults", "health", "route"}},
	{"listen", "[listen]", namesOf(listenSection.keys)},
	{"steering", "[steering]", namesOf(steeringSection.keys)},
	{"admin", "[admin]", namesOf(adminSection.keys)},
	{"log", "[log]", namesOf(logSection.keys)},
	{"fleet", "[fleet]", namesOf(fleetSection.keys)},
	{"knock", "[knock]", namesOf(knockSection.keys)},
	{"announce", "[announce]", namesOf(announceSection.keys)},
	{"defaults", "[defaults]", namesOf(defaultsSection.keys)},
	{"route", "[route.NAME]", namesOf(routeSection.keys)},
	{"health", "[route.NAME.health]", namesOf(healthSection.keys)},
	{"origin", "", namesOf(originSection.keys)},
}

// namesOf keeps the order of the rows: of two names that are equally close to a misspelt one,
// the first is suggested.
func namesOf[S any](keys []key[S]) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// keys are the names of the keys of a section, in the order of the table.
func (s schema) keys(section string) []string {
	for _, t := range s {
		if t.section == section {
			return t.names
		}
	}
	return nil
}

// headerOf is the header of the table that key belongs to, other than section; "" if there
// is none.
func (s schema) headerOf(key, section string) string {
	for _, t := range s {
		if t.section != section && t.header != "" && slices.Contains(t.names, key) {
			return t.header
		}
	}
	return ""
}
