package crashloop

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// host is a state directory and a config file. Each of its guards is one of a process of its own: one
// that is not closed belongs to a process that has died.
type host struct {
	t         *testing.T
	dir, path string
}

func newHost(t *testing.T) host {
	dir := t.TempDir()
	h := host{t, filepath.Join(dir, "state"), filepath.Join(dir, "anyport.toml")}
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("a")
	return h
}

func (h host) write(text string) {
	if err := os.WriteFile(h.path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// open opens the guard of a process, and reads the file.
func (h host) open(upgrade bool) (*Guard, string) {
	h.t.Helper()
	text, err := os.ReadFile(h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	g := Open(Options{Directory: h.dir, Path: h.path, Version: "v1", Upgrade: upgrade})
	h.t.Cleanup(func() { // a process that has died writes nothing any more, but this one would, while the directory is removed
		g.writer.flush(flushTimeout)
	})
	return g, string(g.Start(text))
}

// start expects a process to start with this text, and to serve it.
func (h host) start(want string) *Guard {
	h.t.Helper()
	g, got := h.open(false)
	if got != want {
		h.t.Fatalf("starts with %q, want %q; %+v", got, want, g.Status())
	}
	g.Serving()
	return g
}

// lasts lets the time pass after which what is served counts as good.
func (g *Guard) passMinute() {
	g.mu.Lock()
	serving := g.serving
	g.mu.Unlock()
	g.lasts(serving)
	g.writer.flush(flushTimeout)
}

// lastingThen starts with a file that lasts, and puts another one in its place.
func (h host) lastingThen(text string) *Guard {
	g := h.start("a")
	g.passMinute()
	h.write(text)
	return g
}

func TestFallsBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.lastingThen("b")
	h.start("b")
	h.start("b")
	g := h.start("a")
	if s := g.Status(); !s.Guarded || s.Choice != UseLasted || s.Deaths != 2 || s.File != HashOf([]byte("b")) || s.Serving != HashOf([]byte("a")) || s.LastedBy != "v1" || s.Problem != "" {
		t.Errorf("%+v", s)
	}
	g.Stopped()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	h.start("a").Stopped() // the file has not changed
	h.write("c")
	h.start("c")
}

// TestReloadKills has a process that dies while it reads a new file, and again when it starts with it.
func TestReloadKills(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	g := h.lastingThen("b")
	g.Try([]byte("b"))
	h.open(false)
	h.start("a")
}

// TestReloadTriesAgain lets an operator order what the guard has set aside: one more death is enough, and
// a minute of service ends it.
func TestReloadTriesAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.lastingThen("b")
	h.start("b")
	h.start("b")
	g := h.start("a")
	g.Try([]byte("b"))
	g.Tried(nil)
	if s := g.Status(); s.Guarded || s.Serving != HashOf([]byte("b")) {
		t.Errorf("after the reload: %+v", s)
	}
	g = h.start("a")
	g.Try([]byte("b"))
	g.Tried(nil)
	g.passMinute()
	h.start("b")
	h.start("b")
	if s := h.start("b").Status(); s.Choice != LastedDies {
		t.Errorf("the config that lasted dies: %+v", s)
	}
}

// TestOrderlyEnds shows what is no death: a stop, a refused file, a refused reload, an upgrade.
func TestOrderlyEnds(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(h host){
		"stop": func(h host) {
			g := h.start("b")
			g.Stopped()
			g.writer.flush(flushTimeout)
		},
		"refused": func(h host) {
			g, _ := h.open(false)
			g.Close()
		},
		"reload refused": func(h host) {
			g := h.start("b")
			g.Try([]byte("c"))
			g.Tried(errors.New("refused"))
			g.Stopped()
			g.Close()
		},
		"upgrade": func(h host) {
			old := h.start("b")
			old.Pause()
			next, _ := h.open(true)
			next.TakeOver()
			next.Serving()
			old.Stopped()
			old.Close()
			next.Stopped()
			next.Close()
		},
		"upgrade refused": func(h host) {
			old := h.start("b")
			old.Pause()
			next, _ := h.open(true)
			next.Close()
			old.Resume()
			old.Stopped()
			old.Close()
		},
	} {
		h := newHost(t)
		h.lastingThen("b").Stopped()
		for range 4 {
			run(h)
		}
		g, text := h.open(false)
		if s := g.Status(); text != "b" || s.Deaths != 0 {
			t.Errorf("%s: starts with %q: %+v", name, text, s)
		}
	}
}

// TestUpgradeDies has a new process that dies right after it took over: it dies with the file that it
// has read, and the old one had been stopped by nobody.
func TestUpgradeDies(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	old := h.lastingThen("b")
	old.Pause()
	next, _ := h.open(true)
	next.TakeOver()
	next.writer.flush(flushTimeout)
	old.Close()
	h.start("b")
	h.start("a")
}

// TestDeathOfTheOneBefore: the death of a process that another one outlives counts, and so does what it has noted since
// that one began.
func TestDeathOfTheOneBefore(t *testing.T) {
	t.Parallel()
	for _, lasted := range []bool{false, true} {
		h := newHost(t)
		h.lastingThen("b")
		old := h.start("b")
		next, _ := h.open(true)
		if lasted {
			old.passMinute()
		}
		if err := next.FindDeath(); err != nil {
			t.Error(err)
		}
		next.TakeOver()
		next.Serving()
		next.writer.flush(flushTimeout) // and dies
		if lasted {
			h.start("b")
		} else {
			h.start("a")
		}
	}
}

// TestUpgradeStaysGuarded: the new process goes on with what the old one serves in place of the file.
func TestUpgradeStaysGuarded(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.lastingThen("b")
	h.start("b")
	h.start("b")
	old := h.start("a")
	old.Pause()
	if next, text := h.open(true); text != "a" || !next.Status().Guarded {
		t.Errorf("goes on with %q: %+v", text, next.Status())
	}
	old.Resume()
	old.Try([]byte("b"))
	old.Tried(nil)
	old.Pause()
	if next, text := h.open(true); text != "b" || next.Status().Guarded {
		t.Errorf("after a reload it goes on with %q: %+v", text, next.Status())
	}
}

// TestLastedRefused: a binary that refuses what lasted with another one starts with the file.
func TestLastedRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.lastingThen("b")
	h.start("b")
	h.start("b")
	g, text := h.open(false)
	if text != "a" {
		t.Fatal(text)
	}
	g.UseFile([]byte("b"), errors.New("no such key"))
	g.Serving()
	if s := g.Status(); s.Guarded || s.Choice != NothingLasted || s.Problem != "no such key" {
		t.Errorf("%+v", s)
	}
}

// TestDamagedRecords are as none, and are said.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		recordsFile:                           "{",
		string(HashOf([]byte("a"))) + ".toml": "x",
	} {
		h := newHost(t)
		h.lastingThen("b")
		h.start("b")
		h.start("b")
		file := filepath.Join(h.dir, "crashloop_"+nameOf(h.path), name)
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		g, text := h.open(false)
		if text != "b" || g.Status().Problem == "" {
			t.Errorf("%s is damaged: starts with %q: %+v", name, text, g.Status())
		}
	}
}

// TestFiles shows that only its owner may read what may hold secrets, and that old texts go.
func TestFiles(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	g := h.lastingThen("b")
	for _, text := range []string{"b", "c", "d"} {
		g.Try([]byte(text))
		g.Tried(nil)
	}
	g.passMinute()
	files, err := filepath.Glob(filepath.Join(h.dir, "*", "*"))
	if err != nil || len(files) != 2 { // the records and d
		t.Errorf("%v: %q", err, files)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

// TestOff has no guard where there can be none, and the file is served.
func TestOff(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(h *host){
		"no state directory": func(h *host) { h.dir = "" },
		"no such file":       func(h *host) { h.dir += "/missing" },
		"others can write":   func(h *host) { h.start("a"); h.chmod(0o777) },
		"serves with":        func(h *host) { h.another() },
		"regular file":       func(h *host) { h.path = filepath.Dir(h.path) },
	} {
		h := newHost(t)
		spoil(&h)
		g := Open(Options{Directory: h.dir, Path: h.path})
		if s := g.Status(); !strings.Contains(s.Off, name) {
			t.Errorf("%s: %+v", name, s)
		}
		if text := g.Start([]byte("a")); string(text) != "a" {
			t.Errorf("%s: starts with %q", name, text)
		}
		g.Serving()
		g.Try([]byte("b"))
		g.Tried(nil)
		g.Pause()
		g.Resume()
		g.Stopped()
		if err := g.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// chmod changes the mode of the directory of the records.
func (h host) chmod(mode os.FileMode) {
	if err := os.Chmod(filepath.Join(h.dir, "crashloop_"+nameOf(h.path)), mode); err != nil {
		h.t.Fatal(err)
	}
}

// another lets a process that lives have the records.
func (h host) another() {
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	g := h.start("a")
	id, err := identityOf(other.Process.Pid)
	if err != nil {
		h.t.Fatal(err)
	}
	g.mu.Lock()
	g.note(g.records.begin(Attempt{Hash: "a", Process: id}))
	g.mu.Unlock()
	g.writer.flush(flushTimeout)
}
