package tcp_test

import (
	"net"
	"testing"

	"anyport/proxy/route"
)

func TestReset(t *testing.T) {
	for _, c := range []struct {
		name string
		ends func(client, origin *net.TCPConn) (first, second *net.TCPConn)
		want route.Verdict
	}{
		{"by client", func(client, origin *net.TCPConn) (first, second *net.TCPConn) { return client, origin }, route.ResetByClient},
		{"by origin", func(client, origin *net.TCPConn) (first, second *net.TCPConn) { return origin, client }, route.ResetByOrigin},
	} {
		for name, reset := range map[string]func(t *testing.T, first, second *net.TCPConn){
			"idle":             resetIdle,
			"after bytes":      resetAfterBytes,
			"half closed":      resetHalfClosed,
			"after other FIN":  resetAfterOtherFIN,
			"while it stalls":  resetStalled,
			"unread, by close": resetByClose,
		} {
			t.Run(c.name+", "+name, func(t *testing.T) {
				addr, conns := accepting(t)
				p := serve(t, forward(addr))
				first, second := c.ends(p.pair(conns))
				reset(t, first, second)
				p.ends(c.want)
			})
		}
	}
}

func resetIdle(t *testing.T, first, second *net.TCPConn) {
	reset(first)
	hearRST(t, second)
}

// What came before RST is passed on before it. The reader must have it before
// RST comes to the proxy, for a proxy may not wait then.
func resetAfterBytes(t *testing.T, first, second *net.TCPConn) {
	say(t, first, "last words")
	hear(t, second, "last words")
	reset(first)
	hearRST(t, second)
}

func resetHalfClosed(t *testing.T, first, second *net.TCPConn) {
	first.CloseWrite()
	hearFIN(t, second)
	reset(first)
	await(t, func() bool { // its way in was closed before: only a write can tell
		_, err := second.Write([]byte("anybody there?"))
		return err != nil
	}, "RST after FIN never arrives")
}

func resetAfterOtherFIN(t *testing.T, first, second *net.TCPConn) {
	second.CloseWrite()
	hearFIN(t, first)
	reset(first)
	hearRST(t, second)
}

// The reader has stopped, so what the proxy holds can't be passed on; RST must
// not wait for it.
func resetStalled(t *testing.T, first, second *net.TCPConn) {
	fill(t, first)
	reset(first)
	hearSomeThenRST(t, second)
}

// The kernel sends RST for a socket that is closed with bytes unread.
func resetByClose(t *testing.T, first, second *net.TCPConn) {
	say(t, second, "not read")
	say(t, first, "ready")
	hear(t, second, "ready")
	await(t, func() bool { return unread(t, first) == len("not read") }, "the bytes never arrive")
	first.Close()
	hearRST(t, second)
}
