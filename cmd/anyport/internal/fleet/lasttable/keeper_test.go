package lasttable_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/fleet/lasttable"
)

// TestKeeper: the newest table is written while nobody waits, and what keeps it from the disk is told.
func TestKeeper(t *testing.T) {
	dir := t.TempDir()
	k := lasttable.NewKeeper(dir, "/etc/a.toml", slog.New(slog.DiscardHandler))
	for _, text := range []string{"first", "", "second", "third", "third"} {
		k.Keep(text)
	}
	k.Wait()
	if got, err := lasttable.Read(dir, "/etc/a.toml"); err != nil || string(got) != "third" || k.Problem() != "" {
		t.Errorf("%q, %v, %q", got, err, k.Problem())
	}
	without := lasttable.NewKeeper("", "/etc/a.toml", slog.New(slog.DiscardHandler))
	without.Keep("first")
	without.Wait()
	if problem := without.Problem(); !strings.Contains(problem, "--state") {
		t.Errorf("without a state directory: %q", problem)
	}
	gone := lasttable.NewKeeper(filepath.Join(dir, "none"), "/etc/a.toml", slog.New(slog.DiscardHandler))
	gone.Keep("first")
	gone.Wait()
	if problem := gone.Problem(); !strings.Contains(problem, "make room") {
		t.Errorf("where there is no directory: %q", problem)
	}
}
