package iptables

import (
	"fmt"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// Sets are the sets of `ipset save`, by name.
type Sets struct{ byName map[string]*set }

// set is one set. Its dimensions are the parts of an element, as its type names them.
type set struct {
	dimensions []string // ip, net, port, iface, mark; of list:set: "set"
	family     string
	elements   []element
	unknown    string // why it is not understood
}

// element is one line: a part for each dimension. An exception is an element with "nomatch".
type element struct {
	parts     []string
	exception bool
}

// ParseSets reads the output of `ipset save`.
func ParseSets(text string) (*Sets, error) {
	s := &Sets{byName: map[string]*set{}}
	for i, line := range strings.Split(text, "\n") {
		fields := words(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := s.line(fields); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return s, nil
}

// line reads one line. ipset prints a set's create line before its elements, also with sets that contain sets.
func (s *Sets) line(fields []string) error {
	switch {
	case len(fields) >= 3 && (fields[0] == "create" || fields[0] == "-N"):
		s.byName[fields[1]] = newSet(fields[2], fields[3:])
	case len(fields) >= 3 && (fields[0] == "add" || fields[0] == "-A"):
		to := s.byName[fields[1]]
		if to == nil {
			return fmt.Errorf("set %.40q has an element before its create line", fields[1])
		}
		to.add(fields[2], fields[3:])
	default:
		return fmt.Errorf("%.40q is not a line of ipset save", strings.Join(fields, " "))
	}
	return nil
}

// newSet reads the create line. Options such as hashsize and maxelem do not matter. A timeout does: it is that of the
// elements to come.
func newSet(kind string, options []string) *set {
	_, dimensions, _ := strings.Cut(kind, ":")
	made := &set{dimensions: strings.Split(dimensions, ","), family: "ip"}
	for i, word := range options {
		if word == "family" && i+1 < len(options) && options[i+1] == "inet6" {
			made.family = "ip6"
		}
	}
	made.expires(options)
	for _, d := range made.dimensions {
		if !slices.Contains([]string{"ip", "net", "port", "iface", "mark", "set"}, d) {
			made.unknown = "sets of the type " + kind + " have no equal"
		}
	}
	return made
}

// add keeps an element as text. It is read where a rule uses the set, since src and dst are said there.
func (s *set) add(text string, options []string) {
	e := element{parts: strings.Split(text, ","), exception: slices.Contains(options, "nomatch")}
	if len(e.parts) != len(s.dimensions) && s.unknown == "" {
		s.unknown = fmt.Sprintf("the element %.60s does not fit its type", text)
	}
	s.expires(options)
	s.elements = append(s.elements, e)
}

// expires notes that elements of the set end by themselves. A timeout of 0 is none (ipset(8)).
func (s *set) expires(options []string) {
	i := slices.Index(options, "timeout")
	if i >= 0 && i+1 < len(options) && options[i+1] != "0" && s.unknown == "" {
		s.unknown = "its elements expire, so a route of today's elements would soon be wrong"
	}
}

// readSet reads NAME and the directions of its dimensions.
func readSet(p *parser, name string) ([]ruleset.Condition, bool) {
	directions := strings.Split(p.take(), ",")
	if p.sets == nil || p.sets.byName[name] == nil {
		p.fail("-m set: the elements of the set " + name + " are not in the rules: write them to a file with `ipset save`, and name that with --ipset")
		return nil, true
	}
	conditions, unknown := p.sets.conditions(name, directions, p.not, 0)
	if unknown != "" {
		p.fail("-m set " + name + ": " + unknown)
	}
	return conditions, true
}

// deepestSet bounds sets in sets.
const deepestSet = 4

// conditions asks for an element of a set.
func (s *Sets) conditions(name string, directions []string, not bool, depth int) (all []ruleset.Condition, unknown string) {
	from := s.byName[name]
	switch {
	case from == nil || depth > deepestSet:
		return nil, "the set " + name + " is missing"
	case from.unknown != "":
		return nil, from.unknown
	case from.dimensions[0] == "set":
		return s.ofList(from, directions, not, depth)
	case len(directions) < len(from.dimensions):
		return nil, fmt.Sprintf("its %d dimensions need as many of src and dst", len(from.dimensions))
	}
	match, exceptions, unknown := from.tuples(directions)
	if unknown != "" || len(exceptions) == 0 {
		return []ruleset.Condition{{Not: not, Any: match}}, unknown
	}
	if not || overlapInside(match, exceptions) {
		return nil, "its nomatch elements are too entangled with the others to be translated"
	}
	return []ruleset.Condition{{Any: match}, {Not: true, Any: exceptions}}, ""
}

// ofList is a set of sets: any of them.
func (s *Sets) ofList(list *set, directions []string, not bool, depth int) ([]ruleset.Condition, string) {
	any := ruleset.Condition{Not: not}
	for _, e := range list.elements {
		part, unknown := s.conditions(e.parts[0], directions, false, depth+1)
		if unknown != "" {
			return nil, unknown
		}
		if len(part) != 1 {
			return nil, "nomatch elements of a set in a set have no equal"
		}
		any.Any = append(any.Any, part[0].Any...)
	}
	return []ruleset.Condition{any}, ""
}

// tuples translates the elements. Those of one dimension share one atom.
func (s *set) tuples(directions []string) (match, exceptions [][]ruleset.Atom, unknown string) {
	for _, e := range s.elements {
		tuple, unknown := s.tuple(e, directions)
		if unknown != "" {
			return nil, nil, unknown
		}
		to := &match
		if e.exception {
			to = &exceptions
		}
		if len(tuple) == 1 && len(*to) == 1 && len((*to)[0]) == 1 {
			first := &(*to)[0][0]
			first.Addresses = append(first.Addresses, tuple[0].Addresses...)
			first.Numbers = append(first.Numbers, tuple[0].Numbers...)
			continue
		}
		*to = append(*to, tuple)
	}
	return match, exceptions, ""
}

// tuple translates the parts of one element, all of which must hold.
func (s *set) tuple(e element, directions []string) (tuple []ruleset.Atom, unknown string) {
	for i, dimension := range s.dimensions {
		atoms := s.atoms(dimension, e.parts[i], directions[i] == "dst")
		if atoms == nil {
			return nil, fmt.Sprintf("its element %.60s is not understood", strings.Join(e.parts, ","))
		}
		tuple = append(tuple, atoms...)
	}
	return tuple, ""
}

// atoms translates one part of an element; nil if that cannot be.
func (s *set) atoms(dimension, part string, dst bool) []ruleset.Atom {
	switch dimension {
	case "ip", "net":
		field := ruleset.Source
		if dst {
			field = ruleset.Destination
		}
		if all := addresses(part, s.family); all != nil {
			return []ruleset.Atom{{Field: field, Addresses: all}}
		}
	case "port":
		return portAtoms(part, dst)
	case "iface":
		if !dst {
			return []ruleset.Atom{{Field: ruleset.Interface, Names: []string{part}}}
		}
	case "mark":
		if m, ok := mark(part); ok && m.Mask != 0 {
			return []ruleset.Atom{{Field: ruleset.PacketMark, Mask: m.Mask, Numbers: []ruleset.Range{{First: m.Value, Last: m.Value}}}}
		}
	}
	return nil
}

// portAtoms reads "tcp:80", "udp:1-1023" and "80", which is of both.
func portAtoms(part string, dst bool) (atoms []ruleset.Atom) {
	name, numbers, named := strings.Cut(part, ":")
	if !named {
		numbers = name
	} else {
		n, ok := protocol(name)
		if !ok {
			return nil
		}
		atoms = append(atoms, ruleset.Atom{Field: ruleset.Protocol, Numbers: []ruleset.Range{{First: n, Last: n}}})
	}
	field := ruleset.SourcePort
	if dst {
		field = ruleset.DestinationPort
	}
	all := ports(numbers)
	if all == nil {
		return nil
	}
	return append(atoms, ruleset.Atom{Field: field, Numbers: all})
}

// overlapInside reports whether an element that matches lies inside an exception: the kernel goes by
// the longer prefix, two conditions cannot.
func overlapInside(match, exceptions [][]ruleset.Atom) bool {
	if len(match) != 1 || len(match[0]) != 1 || len(exceptions) != 1 || len(exceptions[0]) != 1 {
		return true
	}
	for _, outer := range exceptions[0][0].Addresses {
		for _, inner := range match[0][0].Addresses {
			if outer.First.Compare(inner.First) <= 0 && inner.Last.Compare(outer.Last) <= 0 {
				return true
			}
		}
	}
	return false
}
