package lasttable

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeeperRetries: a table that cannot be written is written once it can be, the newest of them, and the log says
// both, once.
func TestKeeperRetries(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k := NewKeeper(directory, "a.toml", slog.New(slog.NewTextHandler(&log, nil)))
		k.Keep("first")
		time.Sleep(writeAgain)
		k.Keep("second")
		synctest.Wait()
		if problem := k.Problem(); !strings.Contains(problem, "is not there") || !strings.Contains(problem, "make room") {
			t.Errorf("without a directory: %q", problem)
		}
		if err := os.Mkdir(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeAgain + time.Second)
		synctest.Wait()
		if got, err := Read(directory, "a.toml"); string(got) != "second" || err != nil || k.Problem() != "" {
			t.Errorf("on the disk is %q, %v: %q", got, err, k.Problem())
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "is on the disk again") {
			t.Errorf("logged:\n%s", log.String())
		}
		k.Wait()
	})
}

// TestKeeperStops: after the end, or when another process has taken over, nothing is tried again.
func TestKeeperStops(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(directory, "a.toml", slog.New(slog.DiscardHandler))
		k.Keep("first")
		synctest.Wait()
		k.Wait()
		if err := os.Mkdir(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * writeAgain)
		synctest.Wait()
		if got, err := Read(directory, "a.toml"); got != nil || err != nil {
			t.Errorf("on the disk is %q, %v", got, err)
		}
	})
}
