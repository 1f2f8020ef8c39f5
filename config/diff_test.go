package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	const web = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24", "198.51.100.7"]
ports    = [80, "8000-8009"]
origins  = ["10.0.0.5"]
`
	for _, test := range []struct {
		name, old, next string
		want            Diff
	}{
		{"nothing", web, "# moved down\n" + web, Diff{}},
		{"outside the routes", web, "[steering]\nunmatched = \"drop\"\n[log]\nlevel = \"warn\"\n" + web, Diff{Keys: []KeyDiff{
			{"steering.unmatched", `"refuse"`, `"drop"`},
			{"log.level", `"info"`, `"warn"`},
		}}},
		{"a route more", web, web + `
[route.dns]
protocol = "udp"
prefixes = ["203.0.113.0/24"]
action   = "refuse"
`, Diff{Routes: []RouteDiff{
			{Name: "dns", Change: Added, PrefixesAdded: []string{"203.0.113.0/24"}},
		}}},
		{"another name", web, `
[route.www]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
`, Diff{Routes: []RouteDiff{
			{Name: "web", Change: Removed, PrefixesRemoved: []string{"192.0.2.0/24", "198.51.100.7/32"}},
			{Name: "www", Change: Added, PrefixesAdded: []string{"192.0.2.0/24"}},
		}}},
		{"prefixes and keys", web, `
[defaults]
idle_timeout = "2m"
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["198.51.100.7", "2001:db8::/32"]
ports    = [80]
origins  = [{ address = "10.0.0.5:80", weight = 3 }, "10.0.0.6"]
`, Diff{Routes: []RouteDiff{{
			Name: "web", Change: Changed,
			PrefixesAdded: []string{"2001:db8::/32"}, PrefixesRemoved: []string{"192.0.2.0/24"},
			Keys: []KeyDiff{
				{"protocol", `["tcp"]`, `["tcp", "udp"]`},
				{"ports", `[80, "8000-8009"]`, `[80]`},
				{"origins", `["10.0.0.5"]`, `[{ address = "10.0.0.5:80", weight = 3, backup = false }, "10.0.0.6"]`},
				{"idle_timeout", `"1h0m0s"`, `"2m0s"`},
			},
		}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Compare(parse(t, test.old), parse(t, test.next))
			if diff := cmp.Diff(test.want, got, emptyIsNil); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if empty := len(test.want.Keys)+len(test.want.Routes) == 0; got.Empty() != empty {
				t.Errorf("Empty() = %v", got.Empty())
			}
		})
	}
}

var emptyIsNil = cmp.FilterValues(
	func(a, b any) bool { return isEmpty(a) && isEmpty(b) },
	cmp.Comparer(func(a, b any) bool { return true }),
)

func isEmpty(v any) bool {
	list := reflect.ValueOf(v)
	return list.Kind() == reflect.Slice && list.Len() == 0
}

// TestCompareKnowsEveryKey changes one field after the other: none may change unseen.
func TestCompareKnowsEveryKey(t *testing.T) {
	const file = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
`
	old := parse(t, file)
	eachField(reflect.ValueOf(*old), func(name string, change func(in reflect.Value)) {
		if name == "Path" || name == "Routes" || name == "Notes" || name == "text" || name == "table" || strings.HasPrefix(name, "defaults.") {
			return
		}
		next := parse(t, file)
		change(reflect.ValueOf(next).Elem())
		if Compare(old, next).Empty() {
			t.Errorf("Compare does not see %s", name)
		}
	})
	eachField(reflect.ValueOf(*old.Routes[0]), func(name string, change func(in reflect.Value)) {
		if name == "Name" || name == "Line" {
			return
		}
		next := parse(t, file)
		change(reflect.ValueOf(next.Routes[0]).Elem())
		if Compare(old, next).Empty() {
			t.Errorf("Compare does not see %s of a route", name)
		}
	})
}

// eachField calls see for each field of a struct and of those within it, with what
// sets it to a value that it does not have.
func eachField(in reflect.Value, see func(name string, change func(in reflect.Value))) {
	for i := range in.NumField() {
		name := in.Type().Field(i).Name
		if in.Field(i).Kind() == reflect.Struct && in.Field(i).Type() != reflect.TypeFor[netip.AddrPort]() {
			eachField(in.Field(i), func(inner string, change func(reflect.Value)) {
				see(name+"."+inner, func(in reflect.Value) { change(in.Field(i)) })
			})
			continue
		}
		see(name, func(in reflect.Value) { alter(in.Field(i)) })
	}
}

func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("127.0.0.1:53")))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Uint8:
		v.SetUint((v.Uint() + 1) % 3)
	}
}
