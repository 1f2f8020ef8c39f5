package habits

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Habit is something that people write because another program, a shell or another
// language wants it so, and what is written for it here.
type Habit struct {
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
	EveryPrefix = "name the prefixes that are routed to this host"
	noEnv       = "anyport does not read the environment: write the value itself, or make the file with envsubst"
	oneFile     = "anyport reads one file: write all routes into it"
	byAddress   = "a route is chosen by address and port, not by name: write prefixes"
	noTLS       = "anyport relays TLS unchanged, and the origin terminates it: remove the key"
	noUnix      = "an origin is reached over IP: write the address and port that it listens on"
	noNames     = "names are not resolved here: write addresses"
	pathOfOne   = "weight and backup belong to an origin: write { address = \"10.0.0.5:80\", weight = 3, backup = true } in origins"
)

// habits is the table. The order matters: of the habits that fit, the first whose cure the key
// accepts is used, so narrow patterns stand before wide ones.
var habits = slices.Concat(lineHabits, keyHabits, valueHabits)

// Of returns the habits about one kind of place, as the table has them in order.
func Of(in string) []Habit { return habitsByPlace()[in] }

// habitsByPlace compiles the patterns once, when the first problem is reported: a file without problems never pays
// for it.
var habitsByPlace = sync.OnceValue(func() map[string][]Habit {
	all := map[string][]Habit{}
	for _, h := range habits {
		h.form = regexp.MustCompile(`(?i)^(?:` + h.found + `)$`)
		for _, in := range strings.Fields(strings.ReplaceAll(h.in, " key", "-key")) {
			all[in] = append(all[in], h)
		}
	}
	return all
})

// Match returns found and the groups of the habit's form, if the form matches all of found.
func (h Habit) Match(found string) []string { return h.form.FindStringSubmatch(found) }

// Find is Match for a line, of which the first group alone is to be replaced: from start to end.
func (h Habit) Find(line string) (match []string, start, end int) {
	at := h.form.FindStringSubmatchIndex(line)
	if at == nil || at[2] < 0 {
		return nil, 0, 0
	}
	return h.Match(line), at[2], at[3]
}

// Writes reports whether the cure is something to write, not only to do.
func (h Habit) Writes() bool { return h.write != nil }

// Write makes the text to write; "" if the habit cannot, for example for a mask with holes.
func (h Habit) Write(match []string) string { return h.write(match) }

// Say is the advice in words, with the groups of match filled in.
func (h Habit) Say(match []string) string { return as(h.say)(match) }

// as makes a habit's write of a template: "$1" is the form's first group.
func as(template string) func([]string) string {
	return func(match []string) string {
		out := template
		for i := len(match) - 1; i >= 0; i-- {
			out = strings.ReplaceAll(out, fmt.Sprintf("$%d", i), match[i])
		}
		return out
	}
}
