package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/host"
)

// TestOpenLog: the log has the format and the level of the file, and a reload changes the level.
func TestOpenLog(t *testing.T) {
	for format, want := range map[string]string{"text": "level=WARN msg=seen n=1\n", "json": `"level":"WARN","msg":"seen","n":1}` + "\n"} {
		var text syncBuffer
		d := &daemon{opt: Options{Log: &text, Config: &config.Config{Log: config.Log{Level: slog.LevelWarn, Format: format}}}}
		d.openLog()
		d.log.Info("not seen")
		d.log.Warn("seen", "n", 1)
		d.level.Set(slog.LevelInfo)
		d.log.Info("seen too")
		if err := d.close(); err != nil {
			t.Error(err)
		}
		first, rest, _ := strings.Cut(text.String(), "\n")
		if !strings.HasSuffix(first+"\n", want) || strings.Count(rest, "seen too") != 1 || strings.Contains(text.String(), "not seen") {
			t.Errorf("%s: %q", format, text.String())
		}
		if status := d.logStatus(); status.Lost != 0 || status.AccessLost != 0 {
			t.Errorf("%s: %+v are lost", format, status)
		}
	}
}

// TestLostLines: the line in place of lost ones has the format of the others.
func TestLostLines(t *testing.T) {
	if line := string(lostLines("text", false, 7)); !strings.Contains(line, "level=WARN") || !strings.HasSuffix(line, " lost_lines=7\n") {
		t.Errorf("%q", line)
	}
	var object map[string]any
	if err := json.Unmarshal(lostLines("json", false, 7), &object); err != nil || object["lost_lines"] != 7.0 || object["level"] != "WARN" {
		t.Errorf("%v, %v", object, err)
	}
}

// TestLogNobodyReads: a process whose log nobody reads ends all the same.
func TestLogNobodyReads(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	d := &daemon{opt: Options{Log: stuckWriter(release), Config: &config.Config{}}}
	d.openLog()
	for range 10 {
		d.log.Error("nobody reads this")
	}
	closed := make(chan error, 1)
	go func() { closed <- d.close() }() // ended by logCloseTimeout
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

// stuckWriter takes nothing until it is closed.
type stuckWriter chan struct{}

func (w stuckWriter) Write(b []byte) (int, error) { <-w; return len(b), nil }

// TestClose: what was opened last is closed first, and every error is reported.
func TestClose(t *testing.T) {
	var order []string
	d := &daemon{}
	for _, name := range []string{"log", "admin", "steering"} {
		d.closers = append(d.closers, func() error { order = append(order, name); return errors.New(name + " failed") })
	}
	err := d.close()
	if strings.Join(order, " ") != "steering admin log" || err == nil || strings.Count(err.Error(), "failed") != 3 {
		t.Errorf("closed %v: %v", order, err)
	}
}

// TestWarnShadowed: each listener that a route takes the packets of is named in the log.
func TestWarnShadowed(t *testing.T) {
	var text bytes.Buffer
	d := &daemon{log: slog.New(slog.NewTextHandler(&text, nil))}
	d.warnShadowed(&generation{shadowed: []host.Shadow{
		{Listener: host.Listener{Process: "sshd", PID: 7}}, {Listener: host.Listener{Process: "named", PID: 8}},
	}})
	if lines := strings.Split(strings.TrimSpace(text.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[0], `process="sshd (pid 7)"`) || !strings.Contains(lines[1], "named") {
		t.Errorf("the log says\n%s", &text)
	}
}
