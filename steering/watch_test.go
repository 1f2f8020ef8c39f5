package steering

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"

	"anyport/steering/host"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// TestWatch: what is done to our link from outside is undone, and seen in the log.
func TestWatch(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	lines := make(logLines, 16)
	s.log = slog.New(lines)
	ctx, cancel := context.WithCancel(t.Context())
	ended, relinks := make(chan error), new(atomic.Int32)
	go func() { ended <- s.Watch(ctx, func() { relinks.Add(1) }) }()

	for _, test := range []struct {
		want  linkState
		touch func(link.Link) error
	}{
		{linkDetached, link.Link.Detach},
		{linkDetached, link.Link.Detach},
		{linkOtherProgram, func(l link.Link) error {
			other, err := program.Load(table.Empty(), nil)
			if err != nil {
				return err
			}
			return errors.Join(l.Update(other.Program), other.Close())
		}},
	} {
		if err := test.touch(sameLink(t, s)); err != nil {
			t.Fatal(err)
		}
		if got := <-lines; got != string(test.want) {
			t.Errorf("%s: the log says it was %s", test.want, got)
		}
		if got := knockTCP(t, s, dst); got != table.Steer {
			t.Errorf("%s, and attached again: %s", test.want, got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := relinks.Load(); n != 2 {
		t.Errorf("relinked was called for %d other links, want 2", n)
	}
}

// TestTendPinned: the link that was attached again is the one that is pinned.
func TestTendPinned(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	s := openHere(t, pinned(dir))
	err := sameLink(t, s).Detach()
	if err == nil {
		_, err = s.check(time.Now(), host.Changes{})
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	next := openHere(t, pinned(dir))
	if got := knockTCP(t, next, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Steer {
		t.Errorf("with the link that is pinned: %s", got)
	}
	status, err := next.Status()
	if err != nil || len(status.Foreign) > 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// sameLink opens the link as somebody else would.
func sameLink(t *testing.T, s *Steering) link.Link {
	t.Helper()
	s.mu.Lock()
	info, err := s.loaded.Link.Info()
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	l, err := link.NewFromID(info.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// logLines is a log handler that passes on the first attribute of each line.
type logLines chan string

func (l logLines) Enabled(context.Context, slog.Level) bool { return true }
func (l logLines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l logLines) WithGroup(string) slog.Handler            { return l }
func (l logLines) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		l <- a.Value.String()
		return false
	})
	return nil
}
