package tcp_test

import (
	"io"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"anyport/proxy/route"
)

func TestConn(t *testing.T) {
	addr, conns := accepted(t)
	p := serve(t, forward(addr))
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1 = p.dial()
		c2 = <-conns
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

func TestEcho(t *testing.T) {
	p := serve(t, forward(origin(t, func(c *net.TCPConn) { io.Copy(c, c) })))
	c := p.dial()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	if v := p.verdict(); v != route.Closed {
		t.Errorf("verdict %v, want %v", v, route.Closed)
	}
}
