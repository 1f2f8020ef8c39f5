package resolve

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// serveDNS answers questions on loopback, over UDP and TCP, until the test ends.
func serveDNS(t *testing.T, handle dns.HandlerFunc) (server string) {
	t.Helper()
	packets, listener := listenBoth(t)
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handle}, {Listener: listener, Handler: handle}} {
		go s.ActivateAndServe() // ended by the test's end
		t.Cleanup(func() { s.Shutdown() })
	}
	return packets.LocalAddr().String()
}

// listenBoth binds a port that is free over UDP and over TCP.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 100 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if listener, err := net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, listener
		}
		packets.Close()
	}
	t.Fatal("no port is free over UDP and TCP")
	return nil, nil
}

// TestOverNetwork: what does not match is left aside, a truncated answer is asked for over TCP, and the
// question offers EDNS0.
func TestOverNetwork(t *testing.T) {
	q := question{"app.example.", dns.TypeA}
	server := serveDNS(t, func(w dns.ResponseWriter, m *dns.Msg) {
		_, overTCP := w.RemoteAddr().(*net.TCPAddr)
		if m.IsEdns0() == nil || m.IsEdns0().UDPSize() != udpSize {
			t.Errorf("the question has no EDNS0: %v", m)
		}
		answer := message(t, q, 0, "app.example. 60 IN A 10.0.0.5")
		answer.Id = m.Id
		if !overTCP {
			forged := message(t, q, 0, "app.example. 60 IN A 10.6.6.6")
			forged.Id = m.Id + 1
			w.WriteMsg(forged)
			forged.Id, forged.Question[0].Name = m.Id, "bank.example."
			w.WriteMsg(forged)
			w.Write([]byte("short"))
			w.Write([]byte("longer than a header, and no message"))
			answer.Answer, answer.Truncated = nil, true
		}
		w.WriteMsg(answer)
	})
	r, err := askServer(t.Context(), server, q, transport{edns: true, timeout: 20 * time.Second}, overNetwork)
	if err != nil || len(r.addrs) != 1 || r.addrs[0].String() != "10.0.0.5" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestOverNetworkEnds: a silent server costs no more than the timeout, and nothing after the context.
func TestOverNetworkEnds(t *testing.T) {
	server := serveDNS(t, func(dns.ResponseWriter, *dns.Msg) {})
	q := question{"app.example.", dns.TypeA}
	if _, err := overNetwork(t.Context(), server, q, transport{timeout: 10 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "no answer over udp within 10ms") {
		t.Errorf("a silent server: %v", err)
	}
	for _, tcp := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		began := time.Now()
		if _, err := overNetwork(ctx, server, q, transport{tcp: tcp, timeout: time.Hour}); err == nil || errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Minute {
			t.Errorf("tcp %v, after the context: %v in %v", tcp, err, time.Since(began))
		}
	}
}
