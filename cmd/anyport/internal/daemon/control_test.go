package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"anyport/cmd/anyport/internal/systemd"
	"anyport/proxy"
)

// TestDecide shows that a decision is taken by who runs it, and that nobody waits for
// one who is gone.
func TestDecide(t *testing.T) {
	d := &daemon{decisions: make(chan func())}
	go func() { (<-d.decisions)() }() // ended by the decision below
	why := errors.New("why")
	if err := d.decide(t.Context(), func() error { return why }); err != why {
		t.Errorf("error %v, want that of the decision", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.decide(gone, func() error { panic("nobody decides") }); err != context.Canceled {
		t.Errorf("error %v when nobody decides", err)
	}
}

// TestSecondSignal: a second order to stop means at once, except for the SIGTERM that systemd sends to what is
// left of a service whose main process has ended, after another one has become that.
func TestSecondSignal(t *testing.T) {
	for _, c := range []struct {
		name             string
		manager, another bool // a service manager listens, another process is the service
		sig              os.Signal
		atOnce           bool
	}{
		{"by hand", false, false, syscall.SIGTERM, true},
		{"by hand, after an upgrade", false, true, syscall.SIGTERM, true},
		{"to the service", true, false, syscall.SIGTERM, true},
		{"to what is left of it", true, true, syscall.SIGTERM, false},
		{"to what is left of it, from a terminal", true, true, syscall.SIGINT, true},
	} {
		d := &daemon{log: slog.New(slog.DiscardHandler), stopAsked: true, proxy: proxy.New(proxy.Options{Workers: 1})}
		d.replaced.Store(c.another)
		if c.manager {
			t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "notify"))
			d.opt.Manager = systemd.FromEnvironment()
		}
		if got := d.signalled(c.sig, nil); got != c.atOnce {
			t.Errorf("%s: at once %v, want %v", c.name, got, c.atOnce)
		}
		d.upgrading, d.stopAsked = &upgradeRun{stop: syscall.SIGTERM, abandon: func() {}, over: make(chan struct{})}, false
		close(d.upgrading.over)
		if got := d.signalled(c.sig, nil); got != c.atOnce {
			t.Errorf("%s, while conns move: at once %v, want %v", c.name, got, c.atOnce)
		}
	}
}
