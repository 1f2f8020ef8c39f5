package logging

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestJournalPriority: where stderr is the stream of the journal, each line begins with its priority and has no
// time of its own; where JOURNAL_STREAM names another one, which the process before has left behind, it is
// an ordinary log.
func TestJournalPriority(t *testing.T) {
	for _, ours := range []bool{true, false} {
		for _, format := range []string{"text", "json"} {
			t.Run(fmt.Sprint(ours, format), func(t *testing.T) {
				reader, writer, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer reader.Close()
				info, err := writer.Stat()
				if err != nil {
					t.Fatal(err)
				}
				stat := info.Sys().(*syscall.Stat_t)
				if !ours {
					stat.Ino++
				}
				t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
				l := Open(writer, format, slog.LevelDebug)
				l.Debug("a")
				l.With("k", 1).Info("b")
				l.WithGroup("g").Warn("c", "k", "line\nbreak")
				l.Error("d")
				l.Close()
				writer.Close()
				text, err := io.ReadAll(reader)
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSpace(string(text)), "\n")
				if len(lines) != 4 {
					t.Fatalf("%d lines:\n%s", len(lines), text)
				}
				for i, priority := range []string{"<7>", "<6>", "<4>", "<3>"} {
					if strings.HasPrefix(lines[i], priority) != ours || strings.Contains(lines[i], "time") == ours {
						t.Errorf("a line is %q", lines[i])
					}
				}
			})
		}
	}
	t.Setenv("JOURNAL_STREAM", "0:0")
	if JournalStream(&bytes.Buffer{}) || JournalStream(nil) {
		t.Error("a buffer is the journal")
	}
	if got := WithPriority(slog.LevelError, "a\n  b"); got != "<3>a\n<3>  b" {
		t.Errorf("%q", got)
	}
}
