package origin

import (
	"strings"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// TestExplain: each state of an origin, and what Pick makes of it, is said in words.
func TestExplain(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name   string
		route  config.Route
		change func(p *Pool)
		state  string   // of the first origin
		want   []string // parts of its reason, and of what it leads to
	}{
		{"all is well", config.Route{}, func(*Pool) {}, "", nil},
		{"its checks fail", config.Route{}, func(p *Pool) { p.Origins[0].SetChecked(true, "status 503", now) },
			"check_failed", []string{"its checks have failed since ", ": status 503"}},
		{"down by hand", config.Route{}, func(p *Pool) { p.Origins[0].Force(health.Down, "by hand", now) },
			"forced_down", []string{"an operator has forced it down since "}},
		{"drained by hand", config.Route{}, func(p *Pool) { p.Origins[0].Force(health.Drain, "by hand", now) },
			"forced_drain", []string{"an operator has it drain since "}},
		{"without weight", config.Route{}, func(p *Pool) { p.Origins[0].SetWeight(0) }, "weight_0", []string{"its weight is 0"}},
		{"ejected", config.Route{}, func(p *Pool) {
			for range health.DialsToEject {
				p.DialFailed(p.Origins[0], Failure{Port: 80, Class: ErrorTimeout, Began: now}, now)
			}
		}, "ejected", []string{"dials of it have failed since "}},
		{"a port refused", config.Route{}, func(p *Pool) {
			for range health.DialsToEject {
				p.DialFailed(p.Origins[0], Failure{Port: 80, Class: ErrorRefused, Began: now}, now)
			}
		}, "port refused", []string{"it has refused port 80"}},
		{"full", config.Route{}, func(p *Pool) { p.Origins[0].Begin() }, "full", []string{"it has its max_conns, 1"}},
		{"slow start", config.Route{SlowStart: time.Hour}, func(p *Pool) {
			p.Origins[0].Force(health.Down, "by hand", now)
			p.Origins[0].Force(health.ByHealth, "by hand", now.Add(-30*time.Minute))
		}, "slow start", []string{"slow_start gives it 50 %"}},
		{"panic", config.Route{PanicThreshold: 90}, func(p *Pool) { p.Origins[0].SetChecked(true, "", now) },
			"check_failed", []string{"its checks have failed since ", "2 of 3 origins are up, fewer than panic_threshold = 90 percent"}},
		{"all down", config.Route{OnAllDown: config.TryAll}, down, "check_failed", []string{"its checks", "its checks", "its checks", "no origin is up: all 3 "}},
		{"all down, refused", config.Route{OnAllDown: config.RefuseAll}, down, "check_failed",
			[]string{"its checks", "its checks", "its checks", `on_all_down = "refuse": the kernel refuses`}},
		{"only the backup is left", config.Route{}, func(p *Pool) {
			p.Origins[0].SetChecked(true, "", now)
			p.Origins[1].SetChecked(true, "", now)
		}, "check_failed", []string{"its checks", "its checks", "the backups serve"}},
		{"all full", config.Route{}, full, "full", []string{"max_conns, 1", "max_conns, 1", "max_conns, 1", "every origin that is left has its max_conns: it is refused"}},
		{"all full, with a queue", config.Route{Queue: 7, Timeouts: config.Timeouts{Queued: time.Second}}, full, "full", []string{"a new conn waits for up to 1s, with 0 of queue = 7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.route
			r.Origins = []config.Origin{{Text: "a", Weight: 1, MaxConns: 1}, {Text: "b", Weight: 1, MaxConns: 1}, {Text: "c", Weight: 1, MaxConns: 1, Backup: true}}
			p := NewPool(&r, nil)
			c.change(p)
			all, because := p.Explain(Ask{Protocol: config.TCP, Port: 80, Now: now})
			if all[0].State != c.state {
				t.Errorf("the first is %q, want %q", all[0].State, c.state)
			}
			var got []string
			for _, o := range all {
				if o.Why != "" {
					got = append(got, o.Why)
				}
			}
			text := strings.Join(append(got, because...), "\n")
			rest := text
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("no %q in:\n%s", want, text)
				}
				rest = after
			}
			if len(c.want) == 0 && text != "" {
				t.Errorf("nothing speaks against any, and it says:\n%s", text)
			}
		})
	}
}

func down(p *Pool) {
	for _, o := range p.Origins {
		o.SetChecked(true, "", time.Now())
	}
}

func full(p *Pool) {
	for _, o := range p.Origins {
		o.Begin()
	}
}
