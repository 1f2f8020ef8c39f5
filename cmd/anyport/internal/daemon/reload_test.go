package daemon

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/crashloop"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/steering/table"
)

const routes = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("anyport.toml", []byte(text+routes))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFixedKeys(t *testing.T) {
	for _, test := range []struct {
		name, old, next string
		want            []string
	}{
		{"nothing changed", "", "", nil},
		{"what may change", "", "[log]\nlevel = \"debug\"\n[steering]\nunmatched = \"drop\"\nmanage_routes = false\nshadow_listeners = true\n[defaults]\nidle_timeout = \"1m\"\n", nil},
		{"workers", "", "[listen]\nworkers = 2\n", []string{
			"anyport.toml:2:11: listen.workers: 1 cannot become 2 while anyport runs: restart it, or put the old value back",
		}},
		{"manage_routes, for want of the capability", "[steering]\nmanage_routes = false\n", "", []string{
			"anyport.toml:2:1: steering.manage_routes: false cannot become true while anyport runs: restart it, or put the old value back",
		}},
		{"several", "", "[listen]\ntcp_backlog = 7\nudp_receive_buffer = \"1MiB\"\n[admin]\nsocket = \"\"\n[log]\nformat = \"json\"\naccess = \"stderr\"\n", []string{
			"anyport.toml:2:15: listen.tcp_backlog: 4096 cannot become 7 while anyport runs: restart it, or put the old value back",
			"anyport.toml:3:22: listen.udp_receive_buffer: 4194304 cannot become 1048576 while anyport runs: restart it, or put the old value back",
			"anyport.toml:5:10: admin.socket: \"/run/anyport/admin.sock\" cannot become \"\" while anyport runs: restart it, or put the old value back",
			"anyport.toml:7:10: log.format: \"text\" cannot become \"json\" while anyport runs: restart it, or put the old value back",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, p := range checkFixedKeys(parse(t, test.old), parse(t, test.next)) {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestLoadRefuses shows that a file at fault never becomes a generation.
func TestLoadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anyport.toml")
	old := &generation{number: 1, config: &config.Config{Path: path}}
	old.config.Listen.Workers = 1
	d := &daemon{slow: slowfs.New(time.Minute)}
	d.serving.Store(old)
	for _, test := range []struct{ name, text, want string }{
		{"no TOML", "[route", "not TOML"},
		{"no route", "[log]\n", "[route.NAME]"},
		{"what cannot change", "[listen]\nworkers = 2\n" + routes, "listen.workers: 1 cannot become 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			g, _, err := d.load(reloadOrder{file: true}, nil)
			if g != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("load = %v, %v, want an error that says %q", g, err, test.want)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if g, _, err := d.load(reloadOrder{file: true}, nil); g != nil || err == nil {
		t.Errorf("load of no file = %v, %v, want an error", g, err)
	}
}

// reloader is a daemon that can reload, but never serves what it has read.
func reloader(t *testing.T, log io.Writer) *daemon {
	t.Helper()
	path := filepath.Join(t.TempDir(), "anyport.toml")
	d := &daemon{opt: Options{Guard: crashloop.Open(crashloop.Options{})}, slow: slowfs.New(time.Minute), log: slog.New(slog.NewTextHandler(log, nil))}
	d.serving.Store(&generation{number: 1, config: &config.Config{Path: path}, table: table.Empty()})
	return d
}

// TestReloadQueue: any number of reloads that are asked for while one reads the file become one more, and
// everybody gets the answer of a read that began after the question.
func TestReloadQueue(t *testing.T) {
	var log syncBuffer
	d := reloader(t, &log)
	answers := map[string]int{}
	report := func(who string) reloadReport {
		return func(_ admin.Reloaded, err error) {
			refusedWith(t, err, "no such file")
			answers[who]++
		}
	}
	d.askReload(report("first"), nil)
	first := d.reloading
	d.askReload(report("second"), nil)
	d.reloadBySignal()
	d.askReload(report("third"), nil)
	if d.reloading != first || len(first.waiting) != 1 || len(first.waitingAgain) != 2 {
		t.Errorf("%d wait for the first, %d for another", len(first.waiting), len(first.waitingAgain))
	}
	<-d.reloading.done()
	d.finishReload()
	if answers["first"] != 1 || len(answers) != 1 || d.reloading == nil || !d.reloading.signal {
		t.Errorf("after the first: %v, reloading %+v", answers, d.reloading)
	}
	<-d.reloading.done()
	d.finishReload()
	if answers["first"] != 1 || answers["second"] != 1 || answers["third"] != 1 || d.reloading != nil {
		t.Errorf("after the second: %v, reloading %+v", answers, d.reloading)
	}
	if n := strings.Count(log.String(), `msg="reload refused: the old config serves on" problem=`); n != 2 {
		t.Errorf("%d refused reloads in the log:\n%s", n, log.String())
	}
}

// TestCancelReload: a process that ends leaves nobody without an answer.
func TestCancelReload(t *testing.T) {
	d := &daemon{}
	d.cancelReload() // none is under way
	refused := 0
	report := func(_ admin.Reloaded, err error) {
		if errors.Is(err, errStopping) {
			refused++
		}
	}
	d.reloading = &reload{waiting: []reloadReport{report}, waitingAgain: []reloadReport{report, report}}
	d.cancelReload()
	if refused != 3 {
		t.Errorf("%d of 3 are answered", refused)
	}
}

// TestApplyRefused: each problem of a file is a line of the log, and the status has all of them until a
// reload succeeds.
func TestApplyRefused(t *testing.T) {
	var log syncBuffer
	d := reloader(t, &log)
	problems := config.Problems{{File: "a.toml", Line: 3, Column: 1, Key: "x", Text: "one"}, {File: "a.toml", Line: 4, Column: 1, Key: "y", Text: "two"}}
	if _, err := d.apply(&reload{reloadOrder: reloadOrder{file: true}, err: problems}); err == nil {
		t.Error("a file with problems is in service")
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 || !strings.Contains(log.String(), "a.toml:4:1: y: two") {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
	if status := d.configStatus(); status.Generation != 1 || status.Refused != problems.Error() {
		t.Errorf("%+v", status)
	}
}

// TestReloadOfAnEndingProcess: from the first order to stop on, and after an upgrade, nothing is read.
func TestReloadOfAnEndingProcess(t *testing.T) {
	d := reloader(t, io.Discard)
	d.stopping.Store(true)
	_, _, err := d.load(reloadOrder{file: true}, nil)
	refusedWith(t, err, errStopping.Error())
	_, err = d.dryRun(nil)
	refusedWith(t, err, errStopping.Error())
	d.successor.Store(7)
	_, err = d.replace(nil, nil)
	refusedWith(t, err, "another process, pid 7, serves since an upgrade: ask again")
}
