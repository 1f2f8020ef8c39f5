package admin

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/goldentest"
	"anyport/config"
)

func TestNamed(t *testing.T) {
	r := Reloaded{Routes: []RouteChange{
		{RouteDiff: config.RouteDiff{Name: "a", Change: config.Added}},
		{RouteDiff: config.RouteDiff{Name: "b", Change: config.Removed}},
		{RouteDiff: config.RouteDiff{Name: "c", Change: config.Added}},
		{RouteDiff: config.RouteDiff{Name: "d", Change: Unchanged}},
	}}
	for change, want := range map[config.Change][]string{config.Added: {"a", "c"}, config.Removed: {"b"}, config.Changed: nil, Unchanged: {"d"}} {
		if got := r.Named(change); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", change, got, want)
		}
	}
}

func TestTotal(t *testing.T) {
	if n := (Drained{Conns: map[string]int64{"a": 3, "b": 4}}).Total(); n != 7 {
		t.Errorf("%d conns, want 7", n)
	}
	if n := (Drained{}).Total(); n != 0 {
		t.Errorf("%d conns of no route", n)
	}
}

// TestWire holds every key of every answer: keys may be added to testdata/wire.json, and none may be
// renamed or left out. What is an empty list here is never null.
func TestWire(t *testing.T) {
	answers := map[string]any{}
	for _, answer := range []any{&Status{}, &Reloaded{}, &Drained{}, &Killed{}, &Upgraded{}, &Explained{}, &FlowList{}, &Drift{}, &Health{}, &Confirmed{}, &OriginStatus{}, &PortMap{}, &Scans{}, &Sysdump{}, &TraceEvent{}} {
		fill(reflect.ValueOf(answer).Elem())
		answers[reflect.TypeOf(answer).Elem().Name()] = answer
	}
	got, err := json.MarshalIndent(answers, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Compare(t, filepath.Join("testdata", "wire.json"), string(got)+"\n")
}

// fill gives every field a value, so that none is left out as empty.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1.5)
	default:
		panic("no value for " + v.Type().String())
	}
}

// TestReadsOlder: the client reads an answer without the newer keys; the missing ones are zero.
func TestReadsOlder(t *testing.T) {
	var s Status
	if err := json.Unmarshal([]byte(`{"version":"v0","pid":3,"routes":[{"name":"web","a_later_key":1}],"another":{}}`), &s); err != nil {
		t.Fatal(err)
	}
	if s.Version != "v0" || s.PID != 3 || len(s.Routes) != 1 || s.Routes[0].Name != "web" || s.Steering.OnDeath != "" {
		t.Errorf("read as %+v", s)
	}
}
