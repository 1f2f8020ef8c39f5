package services

import (
	"maps"
	"net"
	"os"
	"testing"
)

// TestProbeSockets finds what a look into /proc/PID/fd finds.
func TestProbeSockets(t *testing.T) {
	for range 3 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	listed, probed := map[uint32]descriptor{}, map[uint32]descriptor{}
	addSockets(listed, os.Getpid())
	probeSockets(probed, os.Getpid())
	if len(listed) < 3 || !maps.Equal(listed, probed) {
		t.Errorf("listed %v, probed %v", listed, probed)
	}
	if n := tableSize(os.Getpid()); n < 3 {
		t.Errorf("a table of %d descriptors", n)
	}
}
