package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"anyport/cmd/anyport/internal/fleet/lasttable"
)

// TestTableKeeper: a table that cannot be written is written once it can be, the newest of them, and the log says
// both, once.
func TestTableKeeper(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k := &tableKeeper{directory: directory, file: "a.toml", log: slog.New(slog.NewTextHandler(&log, nil))}
		k.keep("first")
		time.Sleep(writeAgain)
		k.keep("second")
		synctest.Wait()
		if problem := k.lastProblem(); !strings.Contains(problem, "is not there") || !strings.Contains(problem, "make room") {
			t.Errorf("without a directory: %q", problem)
		}
		if err := os.Mkdir(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeAgain + time.Second)
		synctest.Wait()
		if got, err := lasttable.Read(directory, "a.toml"); string(got) != "second" || err != nil || k.lastProblem() != "" {
			t.Errorf("on the disk is %q, %v: %q", got, err, k.lastProblem())
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "is on the disk again") {
			t.Errorf("logged:\n%s", log.String())
		}
		k.wait()
	})
}

// TestTableKeeperStops: after the end, or when another process has taken over, nothing is tried again.
func TestTableKeeperStops(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		k := &tableKeeper{directory: directory, file: "a.toml", log: slog.New(slog.DiscardHandler)}
		k.keep("first")
		synctest.Wait()
		k.wait()
		if err := os.Mkdir(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * writeAgain)
		synctest.Wait()
		if got, err := lasttable.Read(directory, "a.toml"); got != nil || err != nil {
			t.Errorf("on the disk is %q, %v", got, err)
		}
	})
}
