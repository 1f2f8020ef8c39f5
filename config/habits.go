package config

import (
	"regexp"
	"slices"
)

// A habit is something that people write because another program, a shell or another
// language wants it so, and what is written for it here.
type habit struct {
	// in is the place: a key ("ports"), what a value should have been ("Duration"), "value"
	// for any; "route-key" for a key of a route; "line" for a line that is not TOML, whose
	// first group is what has to go, "reason" for what the TOML library says; "file of …" and
	// "file in …" for a line that no TOML file has. Several places are separated by blanks.
	in string
	// found matches all that was written, in any case; keys in snake case.
	found string
	// write makes what is to be written from what was found; nil: only say tells.
	write func(match []string) string
	// say are the words, with the form's groups, that follow what is to be written, or tell what to do instead.
	say string

	form *regexp.Regexp
}

// Words that several habits say.
const (
	everyPrefix = "name the prefixes that are routed to this host"
	noEnv       = "anyport does not read the environment: write the value itself, or make the file with envsubst"
	oneFile     = "anyport reads one file: write all routes into it"
	byAddress   = "a route is chosen by address and port, not by name: write prefixes"
	noTLS       = "anyport passes TLS on as it is, to end at the origin: remove the key"
	noUnix      = "an origin is reached over IP: write the address and port that it listens on"
	noNames     = "names are not resolved here: write addresses"
	pathOfOne   = "weight and backup belong to an origin: write { address = \"10.0.0.5:80\", weight = 3, backup = true } in origins"
)

// habits is the one table of them, by what they are about. Of those that fit, the first
// whose cure is accepted counts, so a cure need not know what is allowed.
var habits = slices.Concat(lineHabits, keyHabits, valueHabits)
