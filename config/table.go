package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"anyport/config/habits"
	"anyport/config/position"
)

// A table is one TOML table while it is read. It names its keys in two ways: as a problem
// does (label + key), and by the path where they stand in the file, which differs for keys
// that the file has by another name.
type table struct {
	report  *report
	section string // "listen", "route", …: as the schema and the habits name it; "": the whole file
	route   string // the route it belongs to, if any
	label   string // before each key in a problem: "listen.", "", "origins[1]."
	path    string // where it stands in the file
	values  map[string]any
	faulty  map[string]bool   // keys with a problem
	moved   map[string]string // where keys stand that the file has by another name
}

// newTable makes the table of values; path is where it stands in the file.
func newTable(rep *report, section, route, label, path string, values map[string]any) *table {
	return &table{report: rep, section: section, route: route, label: label, path: path, values: values,
		faulty: map[string]bool{}, moved: map[string]string{}}
}

// fault reports a problem of the value of key.
func (t *table) fault(key, format string, args ...any) {
	t.faultAt(t.report.at().Value(t.pathOf(key)), key, fmt.Sprintf(format, args...))
}

// faultKey is fault where the key is what is wrong, not its value.
func (t *table) faultKey(key, text string) *Problem {
	return t.faultAt(t.report.at().Key(t.pathOf(position.Join("", key))), position.Join("", key), text)
}

// faultAt reports a problem of key at a place of its own, and marks key as faulty. What it
// returns is valid until the next problem.
func (t *table) faultAt(at position.Span, key, text string) *Problem {
	name, _, _ := strings.Cut(key, "[")
	t.faulty[name] = true
	return t.report.addAt(at, t.route, t.label+key, text)
}

// pathOf is where a key, or a part of its value, stands in the file.
func (t *table) pathOf(key string) string {
	if key == "" {
		return t.path
	}
	name, rest := key, ""
	if cut := strings.IndexAny(key, "[."); cut > 0 {
		name, rest = key[:cut], key[cut:]
	}
	if path, ok := t.moved[name]; ok {
		return path + rest
	}
	if t.path == "" {
		return key
	}
	return t.path + "." + key
}

// valid reports whether none of keys had a problem so far.
func (t *table) valid(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return t.faulty[key] })
}

// has reports whether the file has key, whatever its value.
func (t *table) has(key string) bool {
	_, ok := t.values[key]
	return ok
}

// sub opens a table below t, of the section that it is named after; one that the file
// lacks is empty.
func (t *table) sub(key string) *table {
	sub := t.open(key)
	sub.translate()
	return sub
}

// open is sub without the translation of foreign keys, which needs to know the section.
func (t *table) open(key string) *table {
	sub := newTable(t.report, key, t.route, t.label+position.Join("", key)+".", t.pathOf(position.Join("", key)), nil)
	value, ok := t.values[key]
	if !ok {
		return sub
	}
	switch values := value.(type) {
	case map[string]any:
		sub.values = values
	case []map[string]any:
		sub.path += "[0]"
		sub.values = values[0]
		t.faultList(key)
	default:
		t.fault(position.Join("", key), "%s is not a table: write [%s], and its keys below", show(value), sub.path)
	}
	return sub
}

// faultList reports [[key]], which makes a list, where [key] is meant.
func (t *table) faultList(key string) {
	path := t.pathOf(position.Join("", key))
	header, ok := t.report.at().Header(path + "[0]")
	p := t.faultAt(header, position.Join("", key), fmt.Sprintf("a list is not a table: write [%s]", path))
	if ok {
		p.Fix = "[" + path + "]"
	}
}

// require reports that key is missing, or an empty list, unless it is faulty anyway.
func (t *table) require(key, advice string) {
	if !t.valid(key) {
		return
	}
	state := "is missing"
	if t.has(key) {
		state = "is empty"
	}
	t.fault(key, "%s: %s", state, advice)
}

// set reads key into dst, which keeps its default where the key is absent or faulty.
func set[T any](t *table, key string, dst *T, parse func(any) (T, error)) {
	value, ok := t.values[key]
	if !ok {
		return
	}
	got, err := parse(value)
	if err != nil {
		t.refuse(key, value, err, habits.OneValue, accepts(parse))
		return
	}
	*dst = got
}

// setList reads a list of different elements into dst, without the faulty ones.
func setList[T comparable](t *table, key string, dst *[]T, parse func(any) (T, error)) {
	value, ok := t.values[key]
	if !ok {
		return
	}
	list, ok := elements(value)
	if !ok {
		_, err := parse(value)
		t.refuse(key, value, notList(value, err), habits.OnlyList, accepts(parse))
		return
	}
	*dst = readElements(t, key, list, parse)
}

// setOneOrList is setList for keys that may also hold a single element.
func setOneOrList[T comparable](t *table, key string, dst *[]T, parse func(any) (T, error)) {
	if _, isList := elements(t.values[key]); isList {
		setList(t, key, dst, parse)
		return
	}
	value, ok := t.values[key]
	if !ok {
		return
	}
	got, err := parse(value)
	if err != nil {
		t.refuse(key, value, err, habits.OneOrList, accepts(parse))
		return
	}
	*dst = []T{got}
}

// readElements reads the elements of a list, and reports those that are faulty or equal to an
// earlier one.
func readElements[T comparable](t *table, key string, list []any, parse func(any) (T, error)) []T {
	var all []T
	first := make(map[T]int, len(list))
	for i, value := range list {
		got, err := parse(value)
		if err != nil {
			t.refuse(fmt.Sprintf("%s[%d]", key, i), value, err, habits.Element, accepts(parse))
			continue
		}
		if before, twice := first[got]; twice {
			t.fault(fmt.Sprintf("%s[%d]", key, i), "%s is already at %s[%d]: remove one", show(value), key, before)
			continue
		}
		first[got] = i
		all = append(all, got)
	}
	return all
}

// notList is the refusal of a single value where a list is wanted. The want of err, the
// refusal of the value itself, lets habits find what was meant.
func notList(value any, err error) error {
	var m refusal
	errors.As(err, &m)
	return refusal{want: m.want, found: show(value) + " is not a list", cure: "write one, in brackets"}
}

// elements are those of a TOML array, in whichever of two shapes the library gives it.
func elements(value any) ([]any, bool) {
	switch list := value.(type) {
	case []any:
		return list, true
	case []map[string]any:
		all := make([]any, len(list))
		for i, element := range list {
			all[i] = element
		}
		return all, true
	}
	return nil, false
}
