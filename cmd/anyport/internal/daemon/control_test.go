package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"anyport/cmd/anyport/internal/systemd"
	"anyport/proxy"
)

// TestSecondSignal: a second order to stop means at once, but for the SIGTERM that systemd sends to what is left
// of a service whose main process, another one by now, has ended.
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
		d := &daemon{log: slog.New(slog.DiscardHandler), told: true, proxy: proxy.New(proxy.Options{Workers: 1})}
		d.replaced.Store(c.another)
		if c.manager {
			t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "notify"))
			d.opt.Manager = systemd.FromEnvironment()
		}
		if got := d.signalled(c.sig, nil); got != c.atOnce {
			t.Errorf("%s: at once %v, want %v", c.name, got, c.atOnce)
		}
		d.upgrading, d.told = &takeover{stop: syscall.SIGTERM, abandon: func() {}, over: make(chan struct{})}, false
		close(d.upgrading.over)
		if got := d.signalled(c.sig, nil); got != c.atOnce {
			t.Errorf("%s, while conns move: at once %v, want %v", c.name, got, c.atOnce)
		}
	}
}
