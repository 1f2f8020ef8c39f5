package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// slowNames is a name server that answers nothing until release.
type slowNames struct {
	asked   chan struct{} // closed by the first question
	release chan struct{}
}

// slowNames starts one on a host, and points the resolv.conf of another one at it.
func (h *host) slowNames(t *testing.T, address string, asker *host) *slowNames {
	t.Helper()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+address+"\noptions timeout:10 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := asker.Bind(file, "/etc/resolv.conf"); err != nil {
		t.Fatal(err)
	}
	s := &slowNames{make(chan struct{}), make(chan struct{})}
	go s.serve(h.listenPacket(t, address+":53"), net.ParseIP(address).To4()) // ends with the conn, at the end of the test
	return s
}

// serve answers each question about IPv4 with one address, and others with none.
func (s *slowNames) serve(conn *net.UDPConn, address net.IP) {
	var first sync.Once
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		first.Do(func() { close(s.asked) })
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		if q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: [4]byte(address)},
			}}
		}
		answer, err := m.Pack()
		if err != nil {
			continue
		}
		go func() { // ends with release, at the end of the test at the latest
			<-s.release
			_, _ = conn.WriteToUDPAddrPort(answer, from)
		}()
	}
}

// TestFleetBackWhileRead: a push goes back while a host still reads its table, here because a name server is slow. The
// table does not come into service afterwards, also not with a reload of the file that was asked for meanwhile.
func TestFleetBackWhileRead(t *testing.T) {
	t.Parallel()
	r := newTableRig(t, 1)
	for n := range 2 {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	names := r.center.slowNames(t, fleetOrigin, r.edges[0])
	p := r.launch(t, 0, "")
	good := r.etcd.push(t, fleetTable(4000))
	r.takes(t, 0, good)
	slow := r.etcd.push(t, strings.ReplaceAll(fleetTable(4001), fleetOrigin+":", "slow.example:"))
	<-names.asked
	reloaded := make(chan result, 1)
	go func() { reloaded <- anyport(t, "reload", "--socket", p.socket) }()
	r.takes(t, 0, r.etcd.push(t, fleetTable(4000)))
	close(names.release)
	p.expect(t, "a table does not come into service", "table="+slow[:12])
	if got := <-reloaded; got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	r.takes(t, 0, good)
	if got := r.asks(0, "192.0.2.7"); got != "0" {
		t.Errorf("a conn got %q, want that of the table before", got)
	}
}
