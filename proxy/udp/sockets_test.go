package udp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestPrepare: an origin socket takes trains, and many, from the moment that its flow is more than one
// question, in one turn or another, or nothing bounds the answer to that.
func TestPrepare(t *testing.T) {
	for name, test := range map[string]struct {
		bounded bool
		turns   [][]string // what the client says in each
		want    []bool     // after each
	}{
		"a question, and another": {true, [][]string{{"one"}, {"two"}}, []bool{false, true}},
		"two at once":             {true, [][]string{{"one", "another"}}, []bool{true}},
		"no bound":                {false, [][]string{{"one"}}, []bool{true}},
	} {
		t.Run(name, func(t *testing.T) {
			l, routes, _, dst := newTurns(t)
			l.dialer.ReceiveBuffer, l.dialer.BufferOption = 4096, unix.SO_RCVBUF
			routes.Set().Routes[0].AntiAmplification = test.bounded
			client := newPeer(t, "127.0.0.1")
			for i, texts := range test.turns {
				for _, text := range texts {
					client.send([]byte(text), dst)
				}
				turn(l, unix.EPOLLIN)
				for f := range l.flows.All {
					trains, err := unix.GetsockoptInt(int(f.Sockets.fd), unix.SOL_UDP, unix.UDP_GRO)
					check(t, err)
					buffer, err := unix.GetsockoptInt(int(f.Sockets.fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
					check(t, err)
					if want := test.want[i]; (trains == 1) != want || (buffer == 2*4096) != want || f.Sockets.reads.large != want {
						t.Errorf("in turn %d it takes trains: %d, with a buffer of %d bytes", i, trains, buffer)
					}
				}
			}
		})
	}
}
