package fleet

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/steering/netnstest"
)

// backplane sets the MTU of the devices of the edges, and of the ports that they lead to.
func (r *rig) backplane(mtu int) {
	r.t.Helper()
	for n, e := range r.edges {
		r.mtu(e.ns, "back", mtu)
		r.mtu(r.hub, fmt.Sprintf("p%d", n+1), mtu)
	}
}

// accept has an edge accept one conn, which f gets.
func (r *rig) accept(n int, at string, f func(net.Conn)) {
	r.t.Helper()
	var l net.Listener
	netnstest.In(r.t, r.edges[n].ns, func() (err error) {
		l, err = anywhere.Listen(r.t.Context(), "tcp", at)
		return err
	})
	r.t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener, or with f
		if c, err := l.Accept(); err == nil {
			f(c)
		}
	}()
}

// TestBulk: what a client sends in bulk arrives whole the forwarded way, whether the kernel or the device
// computes checksums and cuts trains into segments, over both families inside and outside. The answers go
// straight back.
func TestBulk(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.backplane(1600)
	data := make([]byte, 8<<20)
	random := rand.NewChaCha8([32]byte{5})
	_, _ = random.Read(data)
	port := 1000
	for _, outer := range []bool{false, true} {
		r.join(outer)
		for _, at := range both {
			for _, offload := range []struct{ client, edge bool }{{true, true}, {false, true}, {true, false}, {false, false}} {
				t.Run(fmt.Sprintf("to %s, backplane IPv6 %v, offload %+v", at, outer, offload), func(t *testing.T) {
					for _, command := range []uint32{unix.ETHTOOL_STXCSUM, unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO} {
						netnstest.Offload(t, r.client, "eth0", command, offload.client)
						netnstest.Offload(t, r.edges[1].ns, "back", command, offload.edge)
						netnstest.Offload(t, r.edges[1].ns, "eth0", command, offload.edge)
					}
					port++
					r.upload(t, at[:len(at)-2]+strconv.Itoa(port), data)
				})
			}
		}
		for _, e := range r.edges {
			if c := e.fleet.Status().Counts; c.TooLong != 0 || c.Unsent != 0 || c.Forged != 0 {
				t.Errorf("%+v", c)
			}
			if err := e.fleet.Set(Options{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// upload sends data to edge 1, by way of edge 2, and wants their hash back.
func (r *rig) upload(t *testing.T, at string, data []byte) {
	r.accept(0, at, func(c net.Conn) {
		defer c.Close()
		h := sha256.New()
		if _, err := io.Copy(h, c); err == nil {
			_, _ = c.Write(h.Sum(nil))
		}
	})
	c := r.dial(0, at)
	r.route(1)
	before := r.edges[0].fleet.Status().Counts.Taken
	_ = c.SetDeadline(time.Now().Add(soon))
	begun := time.Now()
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	want := sha256.Sum256(data)
	if err != nil || !bytes.Equal(got, want[:]) {
		t.Errorf("after %v: %v, %x", time.Since(begun), err, got)
	}
	if taken := r.edges[0].fleet.Status().Counts.Taken - before; taken < 100 {
		t.Errorf("only %d packets came the forwarded way", taken)
	}
}
