package daemon

import (
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/follow"
	"anyport/config"
)

// follower is a reloader whose routes come from a source that has not answered yet.
func follower(t *testing.T, log *syncBuffer) *daemon {
	t.Helper()
	d := reloader(t, log)
	d.begun = time.Now()
	file, err := config.Parse("anyport.toml", []byte("[fleet]\nsource = \"https://127.0.0.1:1/table\"\n"))
	if err == nil {
		file, err = WithTable(file, []byte(routes))
	}
	if err != nil {
		t.Fatal(err)
	}
	d.serving.Store(&generation{number: 1, config: file, source: fleet.HashOf([]byte(routes))})
	d.fleet.follower = follow.New(follow.Options{Log: d.log})
	return d
}

// offered is an offer of a text.
func offered(text string, serial int64) follow.Offer {
	return follow.Offer{Wanted: follow.Wanted{Table: fleet.HashOf([]byte(text)), Serial: serial}, Text: []byte(text)}
}

// TestTableOfUpgrade: a start waits for a source that does not answer, and an upgrade does not: it goes on with the
// table of the process before, or else a slow source would have each upgrade withdraw the prefixes.
func TestTableOfUpgrade(t *testing.T) {
	d := follower(t, &syncBuffer{})
	if why := d.tableProblem(); !strings.Contains(why, "has not answered yet") {
		t.Errorf("at a start: %q", why)
	}
	d.fleet.taken = true
	if why := d.tableProblem(); why != "" {
		t.Errorf("after an upgrade: %q", why)
	}
	d.fleet.taken = false
	d.begun = d.begun.Add(-firstContact)
	if why := d.tableProblem(); why != "" {
		t.Errorf("later: %q", why)
	}
}

// TestOutdatedTable: a table that is being read, and that the source does not want any more, does not come into service.
func TestOutdatedTable(t *testing.T) {
	for name, test := range map[string]struct {
		next follow.Offer
		gone bool
	}{
		"the one in service":          {follow.Offer{Wanted: offered(routes, 3).Wanted}, true},
		"another one":                 {offered("y", 3), true},
		"another one that is missing": {follow.Offer{Wanted: offered("y", 3).Wanted, Err: fleet.ErrNoTable}, true},
		"the same again":              {offered("x", 3), false},
		"the same, out of reach":      {follow.Offer{Wanted: offered("x", 3).Wanted, Err: fleet.ErrNoTable}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := follower(t, &syncBuffer{})
			first := offered("x", 2)
			d.fleet.wanted.Store(&first)
			d.reloading = &reload{reloadOrder: reloadOrder{offer: &first}}
			d.takeOffer(test.next)
			if got := d.isOutdated(d.reloading.offer); got != test.gone {
				t.Errorf("outdated %v, want %v", got, test.gone)
			}
		})
	}
}

// TestOfferWithoutText: an offer without a text is of what was in service. If another table has come in between, the
// first one has to be fetched.
func TestOfferWithoutText(t *testing.T) {
	d := follower(t, &syncBuffer{})
	d.takeOffer(follow.Offer{Wanted: offered("before", 3).Wanted})
	if d.fleet.state.serial != 0 {
		t.Error("a table that is not in service counts as such")
	}
}

// TestTableOfAnEndingProcess: a process that another one has replaced, or that ends, refuses no table: the fleet would
// hear of a fault that there is not.
func TestTableOfAnEndingProcess(t *testing.T) {
	var log syncBuffer
	d := follower(t, &log)
	o := offered("x", 2)
	d.fleet.wanted.Store(&o)
	d.beginReload(reloadOrder{offer: &o}, nil)
	<-d.reloading.done()
	d.successor.Store(7)
	d.finishReload()
	d.askTable()
	if d.reloading != nil || d.fleet.state.refused != "" || strings.Contains(log.String(), "refused") {
		t.Errorf("reloading %v, refused %q:\n%s", d.reloading, d.fleet.state.refused, log.String())
	}
}
