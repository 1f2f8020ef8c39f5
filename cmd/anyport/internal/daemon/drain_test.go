package daemon

import (
	"testing"
	"time"
)

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
	for name, test := range map[string]struct {
		to, from drains
		want     bool
	}{
		"one more": {web.with("dns", true), web, true}, "the same again": {web.with("web", true), web, false}, "undone": {none, web, true},
		"all, said at once": {all, web.with("dns", true), false}, "a route that left": {web.with("old", true), web, false},
	} {
		if got := test.to.differs(test.from, serving); got != test.want {
			t.Errorf("%s: differs %v, want %v", name, got, test.want)
		}
	}
	now := time.Unix(1000, 0)
	later := web.refusingFrom(now.Add(drainGrace), none, serving).with("dns", true)
	both := later.refusingFrom(now.Add(2*drainGrace), web, serving)
	for name, test := range map[string]struct {
		of   drains
		at   time.Duration
		web  bool
		wait time.Duration
	}{
		"not announced":               {web, 0, true, 0},
		"in its grace":                {later, 0, false, drainGrace},
		"just before the end of it":   {later, drainGrace - 1, false, 1},
		"after it":                    {later, drainGrace, true, 0},
		"another one drains, too":     {both, 0, true, 2 * drainGrace},
		"undone":                      {later.with("web", false).refusingFrom(now, later, serving), 0, false, 0},
		"a route that left meanwhile": {later.only(map[string]bool{"dns": true}), drainGrace, false, 0},
	} {
		wait, _ := test.of.nextRefusal(now.Add(test.at))
		if refuses := test.of.refuses("web", now.Add(test.at)); refuses != test.web || wait != test.wait {
			t.Errorf("%s: web refuses: %t, next in %s, want %t, %s", name, refuses, wait, test.web, test.wait)
		}
	}
	next := none.inGrace(later.grace(now.Add(time.Second)), now.Add(time.Second)).with("web", true).with("dns", true)
	for at, want := range map[time.Duration]bool{time.Second: false, drainGrace - 1: false, drainGrace: true} {
		if got := next.refuses("web", now.Add(at)); got != want {
			t.Errorf("after an upgrade web refuses %v after the order: %t, want %t", at, got, want)
		}
	}
	if !next.refuses("dns", now) || len(all.grace(now)) > 0 || !none.inGrace(map[string]time.Duration{"web": time.Hour}, now).with("web", true).refuses("web", now.Add(drainGrace)) {
		t.Error("a grace is longer than it should be")
	}
	if none.has("web") || len(web.routes) != 1 {
		t.Error("an order has changed what it began with")
	}
}
