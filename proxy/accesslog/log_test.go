package accesslog

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
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
	Source:   netip.MustParseAddrPort("10.0.0.1:40000"),
	Sent: [2]route.Sent{
		{Bytes: 17, Packets: 2, RTT: 150 * time.Microsecond},
		{Bytes: 42, Packets: 3, RTT: 12 * time.Millisecond},
	},
	Connect: 321 * time.Microsecond, Attempts: 1, ID: 0xfeed,
	Verdict: route.Closed, Phase: route.InData,
}

const textLine = "time=2026-05-04T03:02:02.500Z event=end id=000000000000feed protocol=tcp route=web " +
	"client=198.51.100.9:50123 dst=192.0.2.7:4711 origin=10.0.0.5:4711 source=10.0.0.1:40000 seconds=1.5 connect_us=321 attempts=1 " +
	"to_origin=17 to_client=42 packets_to_origin=2 packets_to_client=3 origin_rtt_us=150 client_rtt_us=12000 " +
	"verdict=closed state=-- ended_by=nobody phase=end\n"

func open(t *testing.T, format string, log *slog.Logger) (*Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.log")
	a, err := Open(config.Log{Access: path, Format: format}, nil, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	return a, path
}

func TestText(t *testing.T) {
	a, path := open(t, "text", slog.New(slog.DiscardHandler))
	failed := record
	failed.Origin, failed.Source, failed.Verdict, failed.Connect, failed.Sent = netip.AddrPort{}, netip.AddrPort{}, route.ConnectFailed, 0, [2]route.Sent{}
	a.Record(record)
	a.Record(failed)
	closeLog(t, a)
	want := textLine + "time=2026-05-04T03:02:02.500Z event=end id=000000000000feed protocol=tcp route=web client=198.51.100.9:50123 dst=192.0.2.7:4711 " +
		"origin=\"\" seconds=1.5 attempts=1 to_origin=0 to_client=0 packets_to_origin=0 packets_to_client=0 " +
		"verdict=connect_failed state=SC ended_by=origin phase=connect\n"
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOff(t *testing.T) {
	if a, err := Open(config.Log{}, nil, nil, nil); a != nil || err != nil {
		t.Errorf("Open = %v, %v, want nothing", a, err)
	}
}

func TestNowhere(t *testing.T) {
	_, err := Open(config.Log{Access: filepath.Join(t.TempDir(), "gone", "access.log")}, nil, nil, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "log.access: ") {
		t.Errorf("error %v, want one that names log.access", err)
	}
}

// TestAccessReopen is what logrotate does: the file is moved, and then we are told.
func TestReopen(t *testing.T) {
	a, path := open(t, "text", slog.New(slog.DiscardHandler))
	a.Record(record)
	waitFor(t, func() bool { return read(t, path) == textLine })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := a.Reopen(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { _, err := os.Stat(path); return err == nil })
	a.Record(record)
	closeLog(t, a)
	if old, fresh := read(t, path+".1"), read(t, path); old != textLine || fresh != textLine {
		t.Errorf("the old file has %q, the new one %q, want a line in each", old, fresh)
	}
}

// TestOverflow: what comes while the writer is behind is counted.
func TestOverflow(t *testing.T) {
	var log bytes.Buffer
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	a := newLog(newLines(file, "", appendText), slog.New(slog.NewTextHandler(&log, nil))) // without a writer
	for range queueMost + 3 {
		a.Record(record)
	}
	if a.Lost() != 3 {
		t.Errorf("%d lines are lost, want 3", a.Lost())
	}
	close(a.closing)
	if err := a.write(); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(read(t, file.Name()), "\n"); lines != queueMost || a.Lost() != 3 {
		t.Errorf("%d lines written and %d lost, want the %d that fitted", lines, a.Lost(), queueMost)
	}
	if !strings.Contains(log.String(), "lost_lines=3") || !strings.Contains(log.String(), errBehind.Error()) {
		t.Errorf("the log says %q, want that 3 lines are lost", log.String())
	}
}

func TestDiskFull(t *testing.T) {
	var log bytes.Buffer
	a, err := Open(config.Log{Access: "/dev/full"}, nil, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Skip(err)
	}
	a.Record(record)
	closeLog(t, a)
	if !strings.Contains(log.String(), "no space left on device") {
		t.Errorf("the log says %q, want why the line is lost", log.String())
	}
}

func closeLog(t *testing.T, a *Log) {
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

// TestUniqueIDText: an id of text stands as it is, any other in hexadecimal.
func TestUniqueIDText(t *testing.T) {
	for id, want := range map[string]string{"": "", "conn-7": "conn-7", "a b": "612062", "\x00\xff": "00ff"} {
		if got := uniqueIDText(id); got != want {
			t.Errorf("%q: unique_id=%s, want %s", id, got, want)
		}
	}
}
