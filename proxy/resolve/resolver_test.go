package resolve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// world is the servers and files that a Resolver under test meets. Its clock is that of synctest.
type world struct {
	t *testing.T

	mu    sync.Mutex
	zone  map[string][]string // "app.example. A" → records; nil: NXDOMAIN; absent: the server is silent
	rcode map[string]int      // instead
	files map[string]string
	asked []string // "server name type"
}

func newWorld(t *testing.T, zone map[string][]string) *world {
	return &world{t: t, zone: zone, rcode: map[string]int{}, files: map[string]string{SettingsPath: "nameserver 10.0.0.53\n"}}
}

func (w *world) read(path string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, ok := w.files[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if text == "hangs" {
		return nil, errors.New("not done within 2s")
	}
	return []byte(text), nil
}

func (w *world) exchange(ctx context.Context, server string, q question, how transport) (*dns.Msg, error) {
	w.mu.Lock()
	w.asked = append(w.asked, server+" "+q.String())
	records, known := w.zone[q.String()]
	rcode, wrong := w.rcode[q.String()]
	w.mu.Unlock()
	switch {
	case wrong:
		return message(w.t, q, rcode), nil
	case !known:
		select {
		case <-time.After(how.timeout):
			return nil, fmt.Errorf("no answer within %v", how.timeout)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case records == nil:
		return message(w.t, q, dns.RcodeNameError, "authority:", soa), nil
	}
	return message(w.t, q, 0, append(slices.Clone(records), "authority:", soa)...), nil
}

// noRecords make set say that the name exists, without records of that type.
var noRecords = []string{}

func (w *world) set(key string, records ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.rcode, key)
	w.zone[key] = records
}

func (w *world) fail(key string, rcode int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rcode[key] = rcode
}

func (w *world) silence(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.zone, key)
}

func (w *world) write(path, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[path] = text
}

// takeAsked returns what was asked since the last call, sorted.
func (w *world) takeAsked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	slices.Sort(asked)
	return asked
}

// start resolves names and runs the resolver until the test ends.
func (w *world) start(names ...Name) *Resolver {
	r := New(Options{Read: w.read, Log: slog.New(slog.DiscardHandler), exchange: w.exchange})
	r.Resolve(w.t.Context(), names)
	go r.Run(w.t.Context()) // ended by the test's end
	return r
}

var app = Name{Host: "app.example"}

const (
	appA    = "app.example. A"
	appAAAA = "app.example. AAAA"
)

func addresses(r *Resolver, n Name) string { return strings.Join(texts(r.Answer(n).Targets), " ") }

// later lets time pass, and everything that is due then.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{appA: {"app.example. 60 IN A 10.0.0.5"}, appAAAA: {}})
		r := w.start(app)
		if got := addresses(r, app); got != "10.0.0.5" {
			t.Fatalf("at first: %q", got)
		}
		w.takeAsked()
		w.set(appA, "app.example. 60 IN A 10.0.0.6")
		later(29 * time.Second)
		if asked := w.takeAsked(); len(asked) != 0 || addresses(r, app) != "10.0.0.5" {
			t.Errorf("within the TTL: asked %v, %s", asked, addresses(r, app))
		}
		later(2 * time.Second) // the SOA gives the negative answer 30 s
		if asked := w.takeAsked(); !slices.Equal(asked, []string{"10.0.0.53:53 " + appAAAA}) {
			t.Errorf("after the TTL of the negative answer: asked %v", asked)
		}
		later(30 * time.Second)
		if got := addresses(r, app); got != "10.0.0.6" {
			t.Errorf("after the TTL: %q", got)
		}
	})
}

func TestTTLBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{
			appA: {"app.example. 0 IN A 10.0.0.5"}, appAAAA: {"app.example. 1000000 IN AAAA 2001:db8::5"}})
		w.start(app)
		w.takeAsked()
		later(10*time.Second + time.Millisecond)
		if n := len(w.takeAsked()); n < 9 || n > 10 {
			t.Errorf("a TTL of 0 is asked for %d times in 10 s, want once a second", n)
		}
		later(maxTTL)
		if asked := w.takeAsked(); !slices.Contains(asked, "10.0.0.53:53 "+appAAAA) {
			t.Error("a TTL of days is not asked for after 5 minutes")
		}
	})
}

// TestLastGoodAnswer: addresses stay while servers fail, are silent, or say that the name is gone.
func TestLastGoodAnswer(t *testing.T) {
	for name, breakIt := range map[string]func(*world){
		"SERVFAIL": func(w *world) { w.fail(appA, dns.RcodeServerFailure); w.fail(appAAAA, dns.RcodeServerFailure) },
		"silence":  func(w *world) { w.silence(appA); w.silence(appAAAA) },
		"NXDOMAIN": func(w *world) { w.set(appA); w.fail(appA, dns.RcodeNameError); w.fail(appAAAA, dns.RcodeNameError) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, map[string][]string{appA: {"app.example. 5 IN A 10.0.0.5"}, appAAAA: {"app.example. 5 IN AAAA 2001:db8::5"}})
				r := w.start(app)
				breakIt(w)
				later(time.Hour)
				if a := r.Answer(app); addresses(r, app) != "10.0.0.5 2001:db8::5" || a.Err == nil {
					t.Errorf("after an hour: %q, error %v", addresses(r, app), a.Err)
				}
				w.set(appA, "app.example. 5 IN A 10.0.0.6")
				w.set(appAAAA, "app.example. 5 IN AAAA 2001:db8::5")
				later(longestRetry + time.Minute)
				if a := r.Answer(app); addresses(r, app) != "10.0.0.6 2001:db8::5" || a.Err != nil {
					t.Errorf("after the server is back: %q, error %v", addresses(r, app), a.Err)
				}
			})
		})
	}
}

// TestOneFamilyGoes: a family that is gone is gone if the other one has addresses; one that cannot be
// asked stays.
func TestOneFamilyGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{appA: {"app.example. 5 IN A 10.0.0.5"}, appAAAA: {"app.example. 5 IN AAAA 2001:db8::5"}})
		r := w.start(app)
		w.fail(appAAAA, dns.RcodeServerFailure)
		later(time.Minute)
		if got := addresses(r, app); got != "10.0.0.5 2001:db8::5" {
			t.Errorf("while AAAA fails: %q", got)
		}
		w.set(appAAAA, noRecords...)
		later(time.Minute)
		if a := r.Answer(app); addresses(r, app) != "10.0.0.5" || a.Err != nil {
			t.Errorf("without AAAA: %q, %v", addresses(r, app), a.Err)
		}
	})
}

// TestNotKnownAtTheStart: Resolve returns when a name has failed, and not later than its context.
func TestNotKnownAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{appA: nil, appAAAA: nil})
		began := time.Now()
		r := w.start(app)
		if a := r.Answer(app); a.Targets != nil || a.Err == nil || time.Since(began) > 0 {
			t.Errorf("NXDOMAIN: %+v after %v", a, time.Since(began))
		}
		silent := Name{Host: "silent.example"}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r.Resolve(ctx, []Name{silent})
		if a := r.Answer(silent); a.Err == nil || !strings.Contains(a.Err.Error(), "no answer from [10.0.0.53:53] within 3s") {
			t.Errorf("a silent server: %+v", a)
		}
		w.set("silent.example. A", "silent.example. 5 IN A 10.0.0.7")
		w.set("silent.example. AAAA", noRecords...)
		later(time.Minute)
		if got := addresses(r, silent); got != "10.0.0.7" {
			t.Errorf("once the server answers: %q", got)
		}
		r.Keep([]Name{app})
		if got := addresses(r, silent); got != "" || len(r.Status().Names) != 1 {
			t.Errorf("a name that nothing needs is still known: %q", got)
		}
	})
}

// TestServersInTurn: the next server is asked if one is silent or fails, each as often as attempts says.
func TestServersInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{appA: {"app.example. 60 IN A 10.0.0.5"}, appAAAA: {}})
		w.write(SettingsPath, "nameserver 10.0.0.53\nnameserver 10.0.0.54\noptions timeout:1 attempts:2\n")
		healthy := w.exchange
		r := New(Options{Read: w.read, Log: slog.New(slog.DiscardHandler), exchange: func(ctx context.Context, server string, q question, how transport) (*dns.Msg, error) {
			if server == "10.0.0.53:53" {
				time.Sleep(how.timeout)
				return nil, errors.New("silent")
			}
			return healthy(ctx, server, q, how)
		}})
		began := time.Now()
		r.Resolve(t.Context(), []Name{app})
		if took := time.Since(began); addresses(r, app) != "10.0.0.5" || took != time.Second || r.Answer(app).Server != "10.0.0.54:53" {
			t.Errorf("%q from %s after %v", addresses(r, app), r.Answer(app).Server, took)
		}
		other := Name{Host: "none.example"}
		w.fail("none.example. A", dns.RcodeServerFailure)
		w.fail("none.example. AAAA", dns.RcodeRefused)
		w.takeAsked()
		r.Resolve(t.Context(), []Name{other})
		if asked := w.takeAsked(); len(asked) != 4 {
			t.Errorf("with attempts:2 the second server was asked %v", asked)
		}
		if err := r.Answer(other).Err; err == nil || !strings.Contains(err.Error(), "10.0.0.53:53: silent") || !strings.Contains(err.Error(), "10.0.0.54:53: the server answers SERVFAIL") {
			t.Errorf("the error does not name both servers: %v", err)
		}
	})
}

// TestSearch: a short name stands for those of the search list, and a server that fails ends the search.
func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{
			"db.corp.example. A": nil, "db.corp.example. AAAA": nil,
			"db.lab.example. A": {"db.lab.example. 5 IN A 10.0.0.8"}, "db.lab.example. AAAA": {},
		})
		w.write(SettingsPath, "nameserver 10.0.0.53\nsearch corp.example lab.example\n")
		db := Name{Host: "db"}
		r := w.start(db)
		if got := addresses(r, db); got != "10.0.0.8" {
			t.Errorf("db: %q, %v", got, r.Answer(db).Err)
		}
		w.fail("db.corp.example. A", dns.RcodeServerFailure)
		w.set("db.lab.example. A", "db.lab.example. 5 IN A 10.0.0.9")
		later(time.Minute)
		if got := addresses(r, db); got != "10.0.0.9" {
			t.Errorf("a candidate that was known not to exist, and fails, changes the answer: %q, %v", got, r.Answer(db).Err)
		}
		fresh := w.start(db)
		if got := addresses(fresh, db); got != "" {
			t.Errorf("a name is looked for behind a candidate that could not be asked: %q", got)
		}
	})
}

func TestHostsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{appA: {"app.example. 60 IN A 10.0.0.5"}, appAAAA: {}})
		w.write(HostsPath, "10.0.0.9 app.example\n")
		r := w.start(app)
		if a := r.Answer(app); addresses(r, app) != "10.0.0.9" || a.Server != HostsPath || len(w.takeAsked()) != 0 {
			t.Errorf("%q from %s", addresses(r, app), a.Server)
		}
		w.write(HostsPath, "hangs")
		later(time.Minute)
		if s := r.Status(); addresses(r, app) != "10.0.0.9" || !strings.Contains(s.Error, "/etc/hosts stays as it was read before: not done within 2s") {
			t.Errorf("while the file hangs: %q, %+v", addresses(r, app), s)
		}
		w.write(HostsPath, "10.0.0.10 app.example\n")
		later(filesInterval + time.Millisecond)
		if got := addresses(r, app); got != "10.0.0.10" {
			t.Errorf("after a change: %q", got)
		}
		w.write(HostsPath, "")
		later(filesInterval + time.Millisecond)
		if got := addresses(r, app); got != "10.0.0.5" {
			t.Errorf("without a line: %q", got)
		}
	})
}

// TestSettingsChange: other servers are asked at once.
func TestSettingsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{appA: {"app.example. 300 IN A 10.0.0.5"}, appAAAA: {}})
		r := w.start(app)
		w.takeAsked()
		w.write(SettingsPath, "nameserver 10.0.0.77\n")
		later(filesInterval + time.Millisecond)
		want := []string{"10.0.0.77:53 " + appA, "10.0.0.77:53 " + appAAAA}
		if asked := w.takeAsked(); !slices.Equal(asked, want) || r.Status().Servers[0] != "10.0.0.77:53" {
			t.Errorf("asked %v of %v", asked, r.Status().Servers)
		}
	})
}

func TestServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		game := Name{Host: "_game._udp.example", SRV: true}
		w := newWorld(t, map[string][]string{
			"_game._udp.example. SRV": {
				"_game._udp.example. 5 IN SRV 10 1000 7001 g1.example.", "_game._udp.example. 5 IN SRV 10 500 7002 g2.example.",
				"_game._udp.example. 5 IN SRV 10 0 7003 g1.example.", "_game._udp.example. 5 IN SRV 20 0 7004 g2.example.",
				"_game._udp.example. 5 IN SRV 10 1 7005 gone.example."},
			"g1.example. A": {"g1.example. 5 IN A 10.0.0.5"}, "g1.example. AAAA": {"g1.example. 5 IN AAAA 2001:db8::5"},
			"g2.example. A": {"g2.example. 5 IN A 10.0.0.6"}, "g2.example. AAAA": {},
			"gone.example. A": nil, "gone.example. AAAA": nil,
		})
		r := w.start(game)
		var got []string
		for _, target := range r.Answer(game).Targets {
			got = append(got, fmt.Sprint(target.Addrs, target.Port, target.Weight, target.Backup))
		}
		want := []string{"[10.0.0.5 2001:db8::5] 7001 256 false", "[10.0.0.5 2001:db8::5] 7003 1 false", "[10.0.0.6] 7002 128 false", "[10.0.0.6] 7004 1 true"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if s := r.Status(); s.Names[0].Name != "srv:_game._udp.example" || s.Names[0].Addresses[1] != "[2001:db8::5]:7001" {
			t.Errorf("status %+v", s)
		}
	})
}

// TestASlowNameDelaysNoOther: a name whose server is silent does not hold up the refresh of another one.
func TestASlowNameDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string][]string{appA: {"app.example. 1 IN A 10.0.0.5"}, appAAAA: {}})
		silent := Name{Host: "silent.example"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := New(Options{Read: w.read, Log: slog.New(slog.DiscardHandler), exchange: w.exchange})
		r.Resolve(ctx, []Name{app, silent})
		go r.Run(t.Context()) // ended by the test's end
		w.set(appA, "app.example. 1 IN A 10.0.0.6")
		later(1500 * time.Millisecond)
		if got := addresses(r, app); got != "10.0.0.6" {
			t.Errorf("%q, want the new address", got)
		}
	})
}

// TestAskServer: EDNS0 is left out for a server that does not know it, and a truncated answer is asked
// for over TCP.
func TestAskServer(t *testing.T) {
	q := question{"app.example.", dns.TypeA}
	var how []transport
	x := func(_ context.Context, _ string, q question, h transport) (*dns.Msg, error) {
		how = append(how, h)
		m := message(t, q, 0, "app.example. 60 IN A 10.0.0.5")
		if h.edns {
			m.Rcode = dns.RcodeFormatError
		}
		m.Truncated = !h.tcp
		return m, nil
	}
	r, err := askServer(t.Context(), "s", q, transport{edns: true}, x)
	if want := []transport{{edns: true}, {}, {tcp: true}}; err != nil || len(r.addrs) != 1 || !slices.Equal(how, want) {
		t.Errorf("%+v, %v, asked as %+v", r, err, how)
	}
}
