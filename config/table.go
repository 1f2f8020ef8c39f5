package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A table is one TOML table while it is read. Every key that is asked for is
// thereby known; what is left at done is a mistake.
type table struct {
	report *report
	kind   string // "listen", "route", …: as the list of unsupported keys names it
	route  string // the route it belongs to, if any
	label  string // before each key in a problem: "listen.", "", "origins[1]."
	values map[string]any
	known  []string
	faulty map[string]bool // keys with a problem
}

func newTable(rep *report, kind, route, label string, values map[string]any) *table {
	return &table{report: rep, kind: kind, route: route, label: label, values: values, faulty: map[string]bool{}}
}

func (t *table) fault(key, format string, args ...any) {
	name, _, _ := strings.Cut(key, "[")
	t.faulty[name] = true
	t.report.add(t.route, t.label+key, format, args...)
}

// sound reports whether none of keys had a problem so far.
func (t *table) sound(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return t.faulty[key] })
}

func (t *table) has(key string) bool {
	_, ok := t.values[key]
	return ok
}

func (t *table) take(key string) (any, bool) {
	t.known = append(t.known, key)
	value, ok := t.values[key]
	return value, ok
}

// sub opens a table below t; one that the file lacks is empty.
func (t *table) sub(key string) *table {
	sub := newTable(t.report, key, t.route, t.label+join("", key)+".", nil)
	value, ok := t.take(key)
	if !ok {
		return sub
	}
	values, ok := value.(map[string]any)
	if !ok {
		t.fault(join("", key), "%s is not a table: write [%s], once, and its keys below", show(value), pathOf(t.route, t.label+join("", key)))
	}
	sub.values = values
	return sub
}

// done reports the keys that nobody asked for. The keys that they look like count as
// faulty too: what is misspelt is not missing.
func (t *table) done() {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if slices.Contains(t.known, key) {
			continue
		}
		if advice, was := removed[join(t.kind, key)]; was {
			t.fault(key, "%s", advice)
			continue
		}
		advice := "remove it; known here are " + strings.Join(slices.Sorted(slices.Values(t.known)), ", ")
		if near := closest(key, t.known); near != "" {
			advice = fmt.Sprintf("did you mean %q?", near)
			t.faulty[near] = true
		}
		t.fault(join("", key), "unknown key: %s", advice)
	}
}

// require reports that key is missing, or an empty list, unless it is faulty anyway.
func (t *table) require(key, advice string) {
	if !t.sound(key) {
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
	value, ok := t.take(key)
	if !ok {
		return
	}
	got, err := parse(value)
	if err != nil {
		t.fault(key, "%s", err)
		return
	}
	*dst = got
}

// setList reads a list of different elements into dst, without the faulty ones.
func setList[T comparable](t *table, key string, dst *[]T, parse func(any) (T, error)) {
	value, ok := t.take(key)
	if !ok {
		return
	}
	list, ok := elements(value)
	if !ok {
		t.fault(key, "%s is not a list: write [%[1]s]", show(value))
		return
	}
	*dst = each(t, key, list, parse)
}

// setOneOrList is setList for keys that may also hold a single element.
func setOneOrList[T comparable](t *table, key string, dst *[]T, parse func(any) (T, error)) {
	if _, isList := elements(t.values[key]); isList {
		setList(t, key, dst, parse)
		return
	}
	one := func(v any) ([]T, error) {
		got, err := parse(v)
		return []T{got}, err
	}
	set(t, key, dst, one)
}

func each[T comparable](t *table, key string, list []any, parse func(any) (T, error)) []T {
	var all []T
	first := make(map[T]int, len(list))
	for i, value := range list {
		got, err := parse(value)
		if err != nil {
			t.fault(fmt.Sprintf("%s[%d]", key, i), "%s", err)
			continue
		}
		if before, twice := first[got]; twice {
			t.fault(fmt.Sprintf("%s[%d]", key, i), "%s stands at %s[%d] already: remove one", show(value), key, before)
			continue
		}
		first[got] = i
		all = append(all, got)
	}
	return all
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
