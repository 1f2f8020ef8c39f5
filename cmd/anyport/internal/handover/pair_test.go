package handover

import (
	"os"
	"testing"
	"time"
)

// TestPair: what one end sends the other one receives, and the process at the other end lives.
func TestPair(t *testing.T) {
	old, next, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := old.Send(Go, "now"); err != nil {
		t.Fatal(err)
	}
	m, err := next.Expect(Go)
	word := ""
	if err != nil || m.Decode(&word) != nil || word != "now" {
		t.Errorf("received %q, %v", word, err)
	}
	peer := next.Peer()
	if peer == nil || peer.EndsWithin(time.Millisecond) {
		t.Errorf("this process is taken for dead: %+v", peer)
	}
	next.Close()
	if err := peer.Close(); err != nil || peer.Close() != nil || peer.EndsWithin(time.Second) {
		t.Errorf("closed: %v", err)
	}
}

// TestPeerEnds: the end of the process that has made a stream is seen, not the end of the stream.
func TestPeerEnds(t *testing.T) {
	s := start(t, "makes")
	m, err := s.Expect(Ready)
	if err != nil || len(m.FDs) != 1 {
		t.Fatal(m, err)
	}
	conn, err := connOf(os.NewFile(uintptr(m.FDs[0]), "made"))
	if err != nil {
		t.Fatal(err)
	}
	peer := conn.Peer()
	defer peer.Close()
	conn.Close()
	if peer.EndsWithin(10 * time.Millisecond) {
		t.Error("a process that lives is taken for dead")
	}
	go s.Kill()
	if !peer.EndsWithin(patience) {
		t.Error("a dead process is taken for alive")
	}
	var nobody *Peer
	if nobody.EndsWithin(time.Second) || nobody.Close() != nil {
		t.Error("an unknown process is taken for dead")
	}
}
