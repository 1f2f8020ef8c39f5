package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/crashloop"
	"anyport/cmd/anyport/internal/doctor"
	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/top"
)

// TestJSON: --json prints one object, with every key that package admin promises, as the server sent it.
func TestJSON(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("internal", "admin", "testdata", "wire.json"))
	if err != nil {
		t.Fatal(err)
	}
	var wire map[string]json.RawMessage
	if err := json.Unmarshal(file, &wire); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, path, answer string
		status             int
	}{
		{"status --json", "/status", "Status", exitDone},
		{"status --drift --json", "/drift", "Drift", exitFailed}, // there is some
		{"reload --json", "/reload", "Reloaded", exitDone},
		{"reload --dry-run --json", "/reload", "Reloaded", exitChanges},
		{"flows --json", "/flows", "FlowList", exitDone},
	} {
		f := serve(t)
		f.answers[test.path] = wire[test.answer]
		status, stdout, stderr := run(append(strings.Fields(test.args), "--socket", f.socket)...)
		if status != test.status || (stderr == "") != (status != exitFailed) {
			t.Errorf("%s: exit status %d, want %d: %q", test.args, status, test.status, stderr)
		}
		if diff := cmp.Diff(object(t, string(wire[test.answer])), object(t, stdout)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.args, diff)
		}
		if !strings.HasSuffix(stdout, "}\n") {
			t.Errorf("%s does not end its line: %q", test.args, stdout)
		}
	}
}

// object is the one JSON object of a text.
func object(t *testing.T, text string) (value map[string]any) {
	t.Helper()
	in := json.NewDecoder(strings.NewReader(text))
	if err := in.Decode(&value); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	if _, err := in.Token(); err != io.EOF {
		t.Errorf("more than one object in %q", text)
	}
	return value
}

// TestUpgradeCommand: the path of the new binary is relative to the user's directory, not to that of the
// running process.
func TestUpgradeCommand(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const moved = "/bin/new serves as pid 8: 2 conns and 1 flow moved\n1 conn did not, and end with the old process, or when drain_timeout cuts them\n"
	for _, test := range []struct{ flags, refused, stdout, stderr, binary string }{
		{"", "", moved, "", ""},
		{"--binary /opt/anyport", "", moved, "", "/opt/anyport"},
		{"--binary ./new", "", moved, "", filepath.Join(cwd, "new")},
		{"--binary ../new", "", moved, "", filepath.Join(filepath.Dir(cwd), "new")},
		{"", "the new binary is not trusted", "", "anyport: the new binary is not trusted\n", ""},
	} {
		f := serve(t)
		f.answers["/status"] = admin.Status{PID: os.Getpid()} // of no program: none is loaded for it
		if test.refused != "" {
			f.refuse["/upgrade"] = test.refused
		}
		status, stdout, stderr := run(append(strings.Fields("upgrade "+test.flags), "--socket", f.socket)...)
		if want := map[bool]int{true: exitDone, false: exitFailed}[test.refused == ""]; status != want || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("upgrade %s: %d, %q, %q", test.flags, status, stdout, stderr)
		}
		if asked, want := f.asked[len(f.asked)-1], "POST /upgrade?binary="+strings.ReplaceAll(test.binary, "/", "%2F"); asked != want {
			t.Errorf("upgrade %s asked %q, want %q", test.flags, asked, want)
		}
	}
}

// watched is an output that does something at each picture of top.
type watched struct {
	pictures int
	each     func(n int)
}

func (w *watched) Write(b []byte) (int, error) {
	w.pictures++
	w.each(w.pictures)
	return len(b), nil
}

// TestWatch: top ends after its number of pictures, at an interrupt without an error, and when nobody
// answers any more with one.
func TestWatch(t *testing.T) {
	for _, test := range []struct {
		name           string
		count          int
		each           func(n int, f *fakeAnyport, interrupt func())
		pictures       int
		err            string
		interruptFirst bool
	}{
		{name: "one", count: 1, pictures: 1},
		{name: "as many as asked for", count: 3, pictures: 3},
		{name: "interrupted before the first", count: 9, interruptFirst: true},
		{name: "interrupted after the second", count: 9, pictures: 2, each: func(n int, _ *fakeAnyport, interrupt func()) {
			if n == 2 {
				interrupt()
			}
		}},
		{name: "refused after the first", count: 9, pictures: 1, err: "why not", each: func(_ int, f *fakeAnyport, _ func()) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.refuse["/flows"] = "why not"
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := serve(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			if test.interruptFirst {
				interrupt()
			}
			out := &watched{each: func(n int) {
				if test.each != nil {
					test.each(n, f, interrupt)
				}
			}}
			err := top.Print(ctx, admin.Client{Socket: f.socket}, out, time.Millisecond, test.count)
			if out.pictures != test.pictures {
				t.Errorf("%d pictures, want %d", out.pictures, test.pictures)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

// TestWriteReport: warnings are no failure, and only text ends with the summary; a failure is an error
// after the report.
func TestWriteReport(t *testing.T) {
	warning := doctor.Finding{Check: "ipv6", Status: doctor.Warning, What: "off", Why: "why", Mend: "mend"}
	for _, test := range []struct {
		name   string
		report doctor.Report
		json   bool
		end    string
		err    string
	}{
		{"all is well", doctor.Report{Works: true}, false, "this host can run it\n", ""},
		{"a warning", doctor.Report{Works: true, Warnings: 1, Findings: []doctor.Finding{warning}}, false, "mend: mend\nthis host can run it, with 1 warning\n", ""},
		{"a warning, as JSON", doctor.Report{Works: true, Warnings: 1, Findings: []doctor.Finding{warning}}, true, "]\n}\n", ""},
		{"a failure", doctor.Report{Failures: 1, Findings: []doctor.Finding{warning}}, false, "mend: mend\n", "this host would not run it: 1 failure"},
		{"a failure, as JSON", doctor.Report{Failures: 1, Findings: []doctor.Finding{warning}}, true, "]\n}\n", "this host would not run it: 1 failure"},
	} {
		cmd := newDoctor()
		var out strings.Builder
		cmd.SetOut(&out)
		err := writeReport(cmd, test.report, test.json)
		if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s: %v, want %q", test.name, err, test.err)
		}
		if !strings.HasSuffix(out.String(), test.end) {
			t.Errorf("%s: %q, want the end %q", test.name, out.String(), test.end)
		}
		if test.json {
			object(t, out.String())
		}
		cmd.SetOut(fullDisk{})
		if err := writeReport(cmd, test.report, test.json); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s, to a full disk: %v", test.name, err)
		}
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestFullDisk: a command whose output is lost fails, whatever it printed with.
func TestFullDisk(t *testing.T) {
	f := serve(t)
	for _, args := range []string{"status", "status --json", "flows", "flows --json", "trace", "trace --json", "reload", "reload --json", "drain", "origin drain web/10.0.0.5:80", "top"} {
		var stderr strings.Builder
		if status := execute(append(strings.Fields(args), "--socket", f.socket), fullDisk{}, &stderr); status != exitFailed || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%s: %d, %q", args, status, stderr.String())
		}
	}
}

// TestVersion: the release that the linker has set, else the revision of the source.
func TestVersion(t *testing.T) {
	if got := version(); got == "" || strings.ContainsAny(got, " \n") {
		t.Errorf("version %q, want one word", got)
	}
	release = "v1.2.3"
	defer func() { release = "" }()
	_, stdout, _ := run("version")
	if _, flag, _ := run("--version"); version() != "v1.2.3" || !strings.HasPrefix(stdout, "anyport v1.2.3 (go") || flag != stdout {
		t.Errorf("%q, and --version prints %q", stdout, flag)
	}
}

// TestLoadToRun: the new process of an upgrade reads the file with a time limit, and otherwise as any
// other: the config and the problems are the same.
func TestLoadToRun(t *testing.T) {
	unguarded := crashloop.Open(crashloop.Options{})
	dir := t.TempDir()
	for name, text := range map[string]string{"good.toml": goodFile, "bad.toml": badFile} {
		path := write(t, dir, name, text)
		usual, _, usualErr := runOptions{path: path, guard: unguarded}.load()
		upgraded, _, err := runOptions{path: path, guard: unguarded, before: new(handover.Conn)}.load()
		if (usual == nil) != (upgraded == nil) || usual != nil && (usual.Path != upgraded.Path || len(usual.Routes) != len(upgraded.Routes)) {
			t.Errorf("%s: %+v, in an upgrade %+v", name, usual, upgraded)
		}
		if (usualErr == nil) != (err == nil) || err != nil && usualErr.Error() != err.Error() {
			t.Errorf("%s: %v, in an upgrade %v", name, usualErr, err)
		}
	}
	if _, _, err := (runOptions{path: filepath.Join(dir, "gone.toml"), guard: unguarded, before: new(handover.Conn)}).load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
}

// TestCheckStopped: without an admin socket, and without anybody on it, unload goes on.
func TestCheckStopped(t *testing.T) {
	cmd := newUnload()
	cmd.SetContext(t.Context())
	for _, socket := range []string{"", filepath.Join(t.TempDir(), "none.sock")} {
		if err := checkStopped(cmd, socket); err != nil {
			t.Errorf("%q: %v", socket, err)
		}
	}
}

// TestSharesNetwork: this process does; one that is gone, and one that cannot be looked at, do not.
func TestSharesNetwork(t *testing.T) {
	if !sharesNetwork(os.Getpid()) {
		t.Error("not with itself")
	}
	if sharesNetwork(0) || sharesNetwork(1<<30) {
		t.Error("with a process that does not exist")
	}
}
