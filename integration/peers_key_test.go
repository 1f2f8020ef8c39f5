package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPeersKeyChange: the key of a fleet is changed on one host after another, and no conn is lost that moves
// between hosts meanwhile: each host accepts both keys before one signs with the new one.
func TestPeersKeyChange(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}})
	load := newPeerLoad(t, f.client, 60)
	before, after := readKey(t, f.key), readKey(t, newPeerKey(t))
	load.churn(50)
	for _, keys := range []string{before + after, after + before, after} {
		f.key = filepath.Join(t.TempDir(), "fleet.key")
		if err := os.WriteFile(f.key, []byte(keys), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, e := range f.edges {
			e.reload(t, f.file(e))
			f.rehash(t, f.edges...)
			load.settle(t)
		}
	}
	load.expectNoneLost(t)
	f.expectTaken(t)
	for _, e := range f.edges {
		for _, p := range e.proxy.status(t).Peers.Peers {
			if p.Wrong > 0 || !p.Alive {
				t.Errorf("%s knows the peer %+v", e.Name, p)
			}
		}
	}
}

func readKey(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
