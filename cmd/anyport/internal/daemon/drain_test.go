package daemon

import "testing"

func TestDrains(t *testing.T) {
	var none drains
	web := none.with("web", true)
	all := web.with("", true)
	for _, test := range []struct {
		name     string
		of       drains
		web, dns bool
	}{
		{"nothing", none, false, false},
		{"one", web, true, false},
		{"one, undone", web.with("web", false), false, false},
		{"two", web.with("dns", true), true, true},
		{"all, with those to come", all, true, true},
		{"all but one", all.with("web", false), false, true},
		{"all, undone", all.with("", false), false, false},
		{"one of those that left service", web.only(map[string]bool{"dns": true}), false, false},
		{"one of those that stay", web.only(map[string]bool{"web": true, "dns": true}), true, false},
		{"all of those that stay", all.only(map[string]bool{}), true, true},
	} {
		if web, dns := test.of.has("web"), test.of.has("dns"); web != test.web || dns != test.dns {
			t.Errorf("%s: web %v, dns %v, want %v, %v", test.name, web, dns, test.web, test.dns)
		}
	}
	serving := map[string]bool{"web": true, "dns": true}
	for name, test := range map[string]struct {
		of   drains
		want bool
	}{
		"none": {none, false}, "one": {web, false}, "each": {web.with("dns", true), true}, "all": {all, true}, "all but one": {all.with("web", false), false},
	} {
		if got := test.of.hasEach(serving); got != test.want {
			t.Errorf("%s: every route drains %v, want %v", name, got, test.want)
		}
	}
	if none.has("web") || len(web.routes) != 1 {
		t.Error("an order has changed what it began with")
	}
}
