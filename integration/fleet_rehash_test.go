package integration

import (
	"fmt"
	"testing"
)

// TestFleetWithoutPeers is the test of the rig: edges that do not know each other lose conns when the
// router hashes in another way.
func TestFleetWithoutPeers(t *testing.T) {
	t.Parallel()
	f := newFleetRig(t, 3)
	for _, address := range []string{originV4, "[" + originV6 + "]"} {
		f.talker(t, fmt.Sprint(address, ":", talkPort))
	}
	for _, e := range f.edges {
		f.serve(t, e, "")
	}
	f.hash(t, f.edges...)
	load := newFleetLoad(t, f.client, 60)
	load.churn(50)
	load.settle(t)
	if lost := load.lost(); len(lost) > 0 {
		t.Fatalf("%d conns are lost before the router has changed anything: %s", len(lost), lost[0])
	}
	f.rehash(t, f.edges...)
	load.settle(t)
	lost := len(load.end(t))
	t.Logf("%d of %d conns lost", lost, len(load.long))
	if lost < 10 {
		t.Errorf("%d of %d conns were lost, want at least 10: the rig does not move conns", lost, len(load.long))
	}
}
