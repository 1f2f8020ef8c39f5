package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/lasttable"
)

// TestExplainTable: of a file whose routes come from a source, the answer is from the last table on the disk, and names
// it; without one it is from the file, and says so.
func TestExplainTable(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STATE_DIRECTORY", state)
	route := func(name string) string {
		return "[route." + name + "]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n"
	}
	file := filepath.Join(t.TempDir(), "anyport.toml")
	if err := os.WriteFile(file, []byte("[fleet]\nsource = \"etcd://10.9.0.11:2379/edges\"\n"+route("own")), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(route, from string) {
		t.Helper()
		status, stdout, stderr := run("explain", "-c", file, "tcp", "192.0.2.7:80")
		if status != exitDone || !strings.Contains(stdout, "route: "+route+"\n") || !strings.Contains(stdout, from) {
			t.Errorf("status %d, want route %q and %q:\n%s%s", status, route, from, stdout, stderr)
		}
	}
	check("own", "table: the answer is from the routes of the file itself, which anyport run does not serve: no table of etcd://10.9.0.11:2379/edges was in service here\n")
	table := []byte(route("pushed"))
	if err := lasttable.Write(state, file, table); err != nil {
		t.Fatal(err)
	}
	check("pushed", "table: the answer is from table "+fleet.HashOf(table).Short()+" of etcd://10.9.0.11:2379/edges, the last one that was in service with this file\n")
	if err := lasttable.Write(state, file, []byte("[route")); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := run("explain", "-c", file, "tcp", "192.0.2.7:80"); status != exitFailed || !strings.Contains(stderr, "table "+fleet.HashOf([]byte("[route")).Short()) {
		t.Errorf("a damaged table: status %d, %s", status, stderr)
	}
}
