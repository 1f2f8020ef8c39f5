package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// option is a key of the file, or another choice of the operator, with the values tried.
type option struct {
	name   string
	values []string
}

// choice has a value of each option.
type choice map[string]string

func (c choice) String() string {
	var words []string
	for name, value := range c {
		words = append(words, name+"="+value)
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// pairing has a value of each of two options.
type pairing struct{ a, b, valueA, valueB string }

func (p pairing) String() string {
	return fmt.Sprintf("%s=%s × %s=%s", p.a, p.valueA, p.b, p.valueB)
}

func (p pairing) in(c choice) bool { return c[p.a] == p.valueA && c[p.b] == p.valueB }

// pairings are all pairs of values of two options that can go together.
func pairings(options []option, possible func(choice) bool) (all []pairing) {
	for i, a := range options {
		for _, b := range options[i+1:] {
			for _, valueA := range a.values {
				for _, valueB := range b.values {
					if possible(choice{a.name: valueA, b.name: valueB}) {
						all = append(all, pairing{a.name, b.name, valueA, valueB})
					}
				}
			}
		}
	}
	return all
}

// cover returns a few choices that together have every pair. Each begins with a pair that
// is still missing, and takes for each other option the value that adds the most missing
// pairs. possible also decides on incomplete choices: once it is false, no further option
// may make it true.
func cover(options []option, possible func(choice) bool) (choices []choice) {
	missing := pairings(options, possible)
	for len(missing) > 0 {
		c := choice{missing[0].a: missing[0].valueA, missing[0].b: missing[0].valueB}
		for _, o := range options {
			if _, chosen := c[o.name]; !chosen {
				c[o.name] = best(c, o, missing, possible)
			}
		}
		left := slices.DeleteFunc(missing, func(p pairing) bool { return p.in(c) })
		if len(left) == len(missing) {
			panic("a pair is possible, but not together with the other options: " + missing[0].String())
		}
		choices, missing = append(choices, c), left
	}
	return choices
}

// best is the value of o with which c has the most missing pairs.
func best(c choice, o option, missing []pairing, possible func(choice) bool) (value string) {
	most := -1
	for _, candidate := range o.values {
		c[o.name] = candidate
		n := 0
		for _, p := range missing {
			if p.in(c) {
				n++
			}
		}
		if possible(c) && n > most {
			value, most = candidate, n
		}
	}
	delete(c, o.name)
	return value
}

// TestCover tries options at random: every possible pair is in a choice, and no choice
// has an impossible pair.
func TestCover(t *testing.T) {
	for range 100 {
		var options []option
		for n := range 2 + rand.IntN(10) {
			o := option{name: fmt.Sprint("o", n)}
			for v := range 2 + rand.IntN(3) {
				o.values = append(o.values, fmt.Sprint("v", v))
			}
			options = append(options, o)
		}
		possible := func(c choice) bool { return c["o0"] != "v1" || c["o1"] != "v1" }
		choices := cover(options, possible)
		for _, p := range pairings(options, possible) {
			if !slices.ContainsFunc(choices, p.in) {
				t.Fatalf("%v is in none of %v", p, choices)
			}
		}
		for _, c := range choices {
			if len(c) != len(options) || !possible(c) {
				t.Fatalf("%v cannot be, or lacks something", c)
			}
		}
		if len(choices) > 40 {
			t.Errorf("%d choices for %d options", len(choices), len(options))
		}
	}
}
