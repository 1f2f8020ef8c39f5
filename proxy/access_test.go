package proxy

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

var record = route.Record{
	Begun:    time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
	Took:     1500 * time.Millisecond,
	Protocol: config.TCP,
	Route:    "web",
	Client:   netip.MustParseAddrPort("198.51.100.9:50123"),
	Dst:      netip.MustParseAddrPort("192.0.2.7:4711"),
	Origin:   netip.MustParseAddrPort("10.0.0.5:4711"),
	ToOrigin: 17, ToClient: 42,
	Verdict: route.Closed,
}

const textLine = "time=2026-05-04T03:02:02.500Z protocol=tcp route=web client=198.51.100.9:50123 dst=192.0.2.7:4711 " +
	"origin=10.0.0.5:4711 seconds=1.5 to_origin=17 to_client=42 verdict=closed\n"

func openAccess(t *testing.T, format string, log *slog.Logger) (*AccessLog, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.log")
	a, err := OpenAccessLog(config.Log{Access: path, Format: format}, nil, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	return a, path
}

func TestAccessText(t *testing.T) {
	a, path := openAccess(t, "text", slog.New(slog.DiscardHandler))
	failed := record
	failed.Verdict, failed.Error, failed.Errno = route.ConnectFailed, origin.ErrorUnreachable, unix.ENETUNREACH
	untried := record
	untried.Origin, untried.Verdict = netip.AddrPort{}, route.HeaderTimedOut
	a.Record(record)
	a.Record(failed)
	a.Record(untried)
	closeAccess(t, a)
	want := textLine + strings.ReplaceAll(textLine, "closed", "connect_failed error=unreachable errno=ENETUNREACH") +
		strings.NewReplacer("origin=10.0.0.5:4711", `origin=""`, "closed", "header_timeout").Replace(textLine)
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAccessJSON(t *testing.T) {
	a, path := openAccess(t, "json", slog.New(slog.DiscardHandler))
	a.Record(record)
	closeAccess(t, a)
	var got map[string]any
	if err := json.Unmarshal([]byte(read(t, path)), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"time": "2026-05-04T03:02:02.5Z", "protocol": "tcp", "route": "web", "client": "198.51.100.9:50123", "dst": "192.0.2.7:4711",
		"origin": "10.0.0.5:4711", "seconds": 1.5, "to_origin": 17.0, "to_client": 42.0, "verdict": "closed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAccessOff(t *testing.T) {
	if a, err := OpenAccessLog(config.Log{}, nil, nil, nil); a != nil || err != nil {
		t.Errorf("OpenAccessLog = %v, %v, want nothing", a, err)
	}
}

func TestAccessNowhere(t *testing.T) {
	_, err := OpenAccessLog(config.Log{Access: filepath.Join(t.TempDir(), "gone", "access.log")}, nil, nil, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "log.access: ") {
		t.Errorf("error %v, want one that names log.access", err)
	}
}

// TestAccessReopen is what logrotate does: the file is moved, and then we are told.
func TestAccessReopen(t *testing.T) {
	a, path := openAccess(t, "text", slog.New(slog.DiscardHandler))
	a.Record(record)
	waitFor(t, func() bool { return read(t, path) == textLine })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	a.Reopen()
	waitFor(t, func() bool { _, err := os.Stat(path); return err == nil })
	a.Record(record)
	closeAccess(t, a)
	if old, fresh := read(t, path+".1"), read(t, path); old != textLine || fresh != textLine {
		t.Errorf("the old file has %q, the new one %q, want a line in each", old, fresh)
	}
}

// TestAccessOverflow has no writer, so that the queue stays full.
func TestAccessOverflow(t *testing.T) {
	var log bytes.Buffer
	a := &AccessLog{records: make(chan route.Record, 2), log: slog.New(slog.NewTextHandler(&log, nil)),
		closing: make(chan struct{}), written: make(chan error, 1)}
	for range 5 {
		a.Record(record)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	close(a.closing)
	if err := a.write(file); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(read(t, file.Name()), "\n"); lines != 2 {
		t.Errorf("%d lines written, want the 2 that fitted", lines)
	}
	if !strings.Contains(log.String(), "lost_lines=3") {
		t.Errorf("the log says %q, want that 3 lines are lost", log.String())
	}
}

func TestAccessDiskFull(t *testing.T) {
	var log bytes.Buffer
	a, err := OpenAccessLog(config.Log{Access: "/dev/full"}, nil, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Skip(err)
	}
	a.Record(record)
	closeAccess(t, a)
	if !strings.Contains(log.String(), "no space left on device") {
		t.Errorf("the log says %q, want why the line is lost", log.String())
	}
}

func closeAccess(t *testing.T, a *AccessLog) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// waitFor polls what the writer does on its own time.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-t.Context().Done():
			t.Fatal("it never came")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestAccessUniqueID: an id of text stands as it is, any other in hexadecimal.
func TestAccessUniqueID(t *testing.T) {
	for id, want := range map[string]string{"": "", "conn-7": "conn-7", "a b": "612062", "\x00\xff": "00ff"} {
		r, got := record, ""
		r.UniqueID = id
		accessLine(r).Attrs(func(a slog.Attr) bool {
			if a.Key == "unique_id" {
				got = a.Value.String()
			}
			return true
		})
		if got != want {
			t.Errorf("%q: unique_id=%s, want %s", id, got, want)
		}
	}
}
