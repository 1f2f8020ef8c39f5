package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/fleettest"
	"anyport/config"
)

// fleetFile is a file that is pushed, and the configuration of a host.
const fleetFile = `[fleet]
source = "etcd://127.0.0.1:1/anyport"

# of all hosts
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:80"]
`

// useStore lets the commands of a test find a store in memory.
func useStore(t *testing.T) (store *fleettest.Store, file string) {
	t.Helper()
	store = fleettest.New()
	usual := openStore
	openStore = func(config.Fleet) (fleet.Store, error) { return store, nil }
	t.Cleanup(func() { openStore = usual })
	return store, write(t, t.TempDir(), "fleet.toml", fleetFile)
}

// TestPushCommand pushes, says what a second push would change, and goes back.
func TestPushCommand(t *testing.T) {
	store, file := useStore(t)
	table := strings.SplitAfterN(fleetFile, "\n\n", 2)[1]
	hash := fleet.HashOf([]byte(table))
	status, stdout, stderr := run("push", "-c", file)
	want := "table " + hash.Short() + ", in place of none\n+ route \"web\"\n    + 192.0.2.0/24\ntable " + hash.Short() + " is stored\n" +
		"done: table " + hash.Short() + " is current: no host reports yet, each takes it when it starts\n"
	if status != exitDone || stdout != want || stderr != "" {
		t.Errorf("%d, %q, %q; want %q", status, stdout, stderr, want)
	}
	if text, err := store.Table(t.Context(), hash); err != nil || string(text) != table {
		t.Errorf("%q, %v", text, err)
	}
	if status, stdout, _ = run("push", "--dry-run", "-c", file); status != exitDone || !strings.HasSuffix(stdout, "no route differs\n") {
		t.Errorf("a dry run of the same: %d, %q", status, stdout)
	}

	next := write(t, t.TempDir(), "next.toml", strings.Replace(fleetFile, "10.0.0.5:80", "10.0.0.6:80", 1))
	status, stdout, _ = run("push", "--dry-run", "-c", next)
	if status != exitChanges || !strings.Contains(stdout, "in place of "+hash.Short()+"\n~ route \"web\"\n    ~ origins: [\"10.0.0.5:80\"] → [\"10.0.0.6:80\"]\n") {
		t.Errorf("a dry run: %d, %q", status, stdout)
	}
	if status, _, stderr = run("push", "-c", next); status != exitFailed || !strings.Contains(stderr, "anyport: no host reports to this source") {
		t.Errorf("without hosts: %d, %q", status, stderr)
	}
	store.PutReport(fleet.Report{Host: "edge1", Ready: true, Table: fleet.HashOf([]byte(strings.Replace(table, "10.0.0.5:80", "10.0.0.6:80", 1))), Serial: 99})
	status, stdout, stderr = run("push", "--stage", "100%", "--hold", "0s", "--json", "-c", next)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if status != exitDone || stderr != "" || len(lines) != 6 {
		t.Fatalf("%d, %q, %q", status, stdout, stderr)
	}
	events := ""
	for _, line := range lines {
		events += " " + object(t, line)["event"].(string)
	}
	if events != " changes stored stage serves held done" {
		t.Errorf("events: %s", events)
	}
	store.PutReport(fleet.Report{Host: "edge1", Ready: true, Table: hash})
	if status, stdout, stderr = run("push", "--back", "-c", next); status != exitDone || !strings.HasSuffix(stdout, "done: table "+hash.Short()+" is current, on edge1\n") {
		t.Errorf("back: %d, %q, %q", status, stdout, stderr)
	}
}

// TestPushRefused: what a command line or a file cannot mean, and what is wrong in the file, before anything is stored.
func TestPushRefused(t *testing.T) {
	store, file := useStore(t)
	dir := t.TempDir()
	broken := write(t, dir, "broken.toml", strings.Replace(fleetFile, "tcp", "sctp", 1))
	alone := write(t, dir, "alone.toml", strings.Replace(fleetFile, `source = "etcd://127.0.0.1:1/anyport"`, "", 1))
	bare := write(t, dir, "bare.toml", strings.SplitAfterN(fleetFile, "\n\n", 2)[0])
	for args, want := range map[string]struct {
		status int
		err    string
	}{
		"push --stage 1 -c " + file:                {exitUsage, "anyport: --stage: the last stage must be 100%"},
		"push --hold -1s -c " + file:               {exitUsage, "anyport: --hold must not be negative"},
		"push --back --dry-run -c " + file:         {exitUsage, "anyport: --back goes at once: leave out"},
		"push --back --stage 100% -c " + file:      {exitUsage, "anyport: --back goes at once: leave out"},
		"push --back -c " + file:                   {exitFailed, "anyport: there is no table before this one"},
		"push -c " + broken:                        {exitFailed, "anyport: " + broken + ":6"},
		"push -c " + bare:                          {exitFailed, "anyport: " + bare},
		"push -c " + alone:                         {exitFailed, "anyport: " + alone + ": only an etcd has the reports of the hosts"},
		"fleet -c " + alone:                        {exitFailed, "anyport: " + alone + ": only an etcd has the reports of the hosts"},
		"fleet -c " + filepath.Join(dir, "a.toml"): {exitFailed, "anyport: "},
	} {
		status, stdout, stderr := run(strings.Fields(args)...)
		if status != want.status || stdout != "" || !strings.HasPrefix(stderr, want.err) {
			t.Errorf("%s: %d, %q, %q", args, status, stdout, stderr)
		}
	}
	if tables, _ := store.Tables(t.Context()); len(tables) > 0 {
		t.Errorf("stored %+v", tables)
	}
	session, err := store.BeginPush(t.Context(), fleet.Push{By: "ci@build", Began: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(t.Context())
	if status, _, stderr := run("push", "-c", file); status != exitFailed || !strings.Contains(stderr, "a push of ci@build runs since 12:00:00 UTC: ") {
		t.Errorf("a second push: %d, %q", status, stderr)
	}
}

// TestFleetCommand: the source is that of the file, or of the file that a running anyport serves.
func TestFleetCommand(t *testing.T) {
	store, file := useStore(t)
	store.PutReport(fleet.Report{Host: "edge1", Ready: true, Version: "v1"})
	f := serve(t)
	f.answers["/about"] = admin.About{PID: os.Getpid(), Path: file}
	for _, where := range []string{"-c " + file, "--socket " + f.socket} {
		status, stdout, stderr := run(strings.Fields("fleet " + where)...)
		if status != exitDone || stderr != "" || !strings.HasPrefix(stdout, "source    etcd://127.0.0.1:1/anyport\n") || !strings.HasSuffix(stdout, "\n1 host, as it should be\n") {
			t.Errorf("%s: %d, %q, %q", where, status, stdout, stderr)
		}
	}
	status, stdout, _ := run("fleet", "--json", "-c", file)
	var o struct {
		Hosts []struct{ Host string }
	}
	if err := json.Unmarshal([]byte(stdout), &o); err != nil || status != exitDone || len(o.Hosts) != 1 || o.Hosts[0].Host != "edge1" {
		t.Errorf("%d, %q, %v", status, stdout, err)
	}
	if status, stdout, stderr := run("fleet", "-c", file, "--socket", f.socket); status != exitUsage {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
}
