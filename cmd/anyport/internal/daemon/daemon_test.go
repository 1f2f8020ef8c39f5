package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"anyport/steering/host"
)

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
