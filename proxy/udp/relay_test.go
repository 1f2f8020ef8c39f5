package udp

import (
	"bytes"
	"testing"
)

func TestRelay(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, size := range []int{0, 1, 1472, 1473, 65507} {
			origin, client := newPeer(t, addr), newPeer(t, addr)
			origin.echo()
			p := serve(t, to(origin.addr()), addr)
			payload := bytes.Repeat([]byte("anyport "), size/8+1)[:size]
			client.send(payload, p.dsts[0])
			client.expect(payload, p.dsts[0])
		}
	}
}
