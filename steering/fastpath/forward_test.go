package fastpath

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"anyport/bpf/fastflow"
)

// ends are the addresses of a flow over IPv4 and over IPv6.
var ends = map[string]fastflow.Flow{
	"IPv4": {
		Client: netip.MustParseAddrPort("10.1.0.2:4000"), Dst: netip.AddrPortFrom(dst4, 53),
		Source: netip.MustParseAddrPort("10.2.0.1:5000"), Origin: netip.MustParseAddrPort("10.2.0.2:7000"),
	},
	"IPv6": {
		Client: netip.MustParseAddrPort("[fd01::2]:4000"), Dst: netip.AddrPortFrom(dst6, 53),
		Source: netip.MustParseAddrPort("[fd02::1]:5000"), Origin: netip.MustParseAddrPort("[fd02::2]:7000"),
	},
}

// headerOf is what f's datagrams begin with at the origin.
func headerOf(f fastflow.Flow) (h []byte) {
	client, dst := f.Client.Addr().As16(), f.Dst.Addr().As16()
	switch {
	case f.Header == fastflow.SPP:
		h = append([]byte{0x56, 0xec}, client[:]...)
		h = append(h, dst[:]...)
	case f.Header == fastflow.V2 && f.Client.Addr().Is4():
		h = append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c"), client[12:]...)
		h = append(h, dst[12:]...)
	case f.Header == fastflow.V2:
		h = append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x22\x00\x24"), client[:]...)
		h = append(h, dst[:]...)
	default:
		return nil
	}
	h = binary.BigEndian.AppendUint16(h, f.Client.Port())
	return binary.BigEndian.AppendUint16(h, f.Dst.Port())
}

// TestForward: datagrams of all sizes, with all headers and over both families, arrive whole, from the
// right addresses, and with checksums that the receiving kernel verifies, whoever computes them.
func TestForward(t *testing.T) {
	r := newRig(t)
	p := r.open()
	for family, f := range ends {
		client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
		for _, offload := range []struct{ ends, edge bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
			r.checksums(r.client, "eth0", offload.ends)
			r.checksums(r.origin, "eth0", offload.ends)
			r.checksums(r.edge, "c0", offload.edge)
			r.checksums(r.edge, "o0", offload.edge)
			for _, h := range []fastflow.Header{fastflow.None, fastflow.V2, fastflow.SPP} {
				for _, shares := range []bool{false, true} {
					if shares && h != fastflow.SPP {
						continue
					}
					f.Header, f.SharesSource, f.Idle = h, shares, time.Minute
					t.Run(fmt.Sprintf("%s header %d shares %v offload %v", family, h, shares, offload), func(t *testing.T) {
						forwardSizes(t, r, p, f, client, origin)
					})
				}
			}
		}
	}
}

func forwardSizes(t *testing.T, r *rig, p *Path, f fastflow.Flow, client, origin *net.UDPConn) {
	if err := p.Admit(f); err != nil {
		t.Fatal(err)
	}
	header, answerHeader := headerOf(f), []byte(nil)
	if f.Header == fastflow.SPP {
		answerHeader = header
	}
	most := 1500 - 28 - len(header)
	if f.Client.Addr().Is6() {
		most -= 20
	}
	sizes, sum := []int{0, 1, 2, 17, 18, 64, 333, 1200, most}, 0
	for _, size := range sizes {
		payload := bytes.Repeat([]byte{byte(size), 0xff, 7}, size)[:size]
		if _, err := client.WriteToUDPAddrPort(payload, f.Dst); err != nil {
			t.Fatal(err)
		}
		got, from := r.receive(origin, patience)
		if from != f.Source || !bytes.Equal(got, append(bytes.Clone(header), payload...)) {
			t.Fatalf("size %d: the origin got %d bytes from %v: %x", size, len(got), from, got)
		}
		if _, err := origin.WriteToUDPAddrPort(append(bytes.Clone(answerHeader), payload...), f.Source); err != nil {
			t.Fatal(err)
		}
		got, from = r.receive(client, patience)
		if from != f.Dst || !bytes.Equal(got, payload) {
			t.Fatalf("size %d: the client got %d bytes from %v: %x", size, len(got), from, got)
		}
		sum += size
	}
	u, ok := p.Remove(f)
	want := fastflow.Count{Packets: uint64(len(sizes)), Bytes: uint64(sum)}
	if !ok || u.ToOrigin != want || u.ToClient != want {
		t.Errorf("counted %+v, %v, want %+v in both directions", u, ok, want)
	}
	if n := p.Admitted(); n != 0 {
		t.Errorf("%d flows are left", n)
	}
}
