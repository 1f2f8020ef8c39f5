package steering

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/host"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

// TestRecover: what a dead process has written half is erased.
func TestRecover(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	dying := openHere(t, pinned(dir))
	r := tabletest.Route("stale", "1-65535", "198.51.100.0/24", "2001:db8:2::/48")
	r.Deny = tabletest.Prefixes("203.0.113.0/24")
	stale := tabletest.Compile(t, r)
	if err := errors.Join(dying.half(dying.generation+1).Fill(stale, nil), dying.Close()); err != nil {
		t.Fatal(err)
	}
	s := openHere(t, pinned(dir))
	for range 2 { // once by each half
		checkVerdicts(t, newJudge(t, s), map[string]table.Verdict{"192.0.2.1:80": table.Steer, "198.51.100.1:80": table.Pass, "[2001:db8:2::1]:80": table.Pass})
		if _, err := s.check(time.Now(), host.Changes{}); err != nil {
			t.Fatal(err)
		}
		checkNoSources(t, s)
		replace(t, s, pinned(dir))
	}
}

// checkNoSources: no list of clients is left.
func checkNoSources(t *testing.T, s *Steering) {
	t.Helper()
	var key bpf.SteerSource
	if err := s.objects.Sources.NextKey(nil, &key); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("%+v is still there (%v)", key, err)
	}
}

// TestHandoverPinned: the pins go along, and stay with the next process.
func TestHandoverPinned(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	old := openHere(t, pinned(dir))
	moved := pinned(filepath.Join(filepath.Dir(dir), "moved"))
	_, err := Inherit(withListen(moved), tabletest.Compile(t, moved.Routes...), copies(t, old.Handover()), discard)
	checkError(t, "with another directory", err, "the pins are in another directory")
	next := inherit(t, pinned(dir), copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Unload(pinned(dir), discard); err == nil {
		t.Error("Unload takes the pins of the next process")
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Unload(pinned(dir), discard); err != nil {
		t.Fatal(err)
	}
	checkGone(t, dir)
}
