package integration

import (
	"bytes"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const overflowFile = `http = "127.0.0.1:9765"
[listen]
tcp_backlog = 4
udp_receive_buffer = 65536
` + countedFile

// TestListenerDropsGoOn stops the process for a while, so that its queues overflow. What the kernel has
// dropped then is counted once, also after upgrades, whose processes have the same sockets.
func TestListenerDropsGoOn(t *testing.T) {
	t.Parallel()
	r := countedRig(t)
	p := r.edge.serveWith(t, overflowFile)
	f := newFamily(t, p)
	const udp, tcp = `anyport_datagrams_total{direction="to_origin",route="",verdict="overflowed"}`, `anyport_accept_queue_overflows_total`
	const datagrams = 500
	overflow(t, r, f.pids[0], datagrams)
	before := p.scrape(t)
	if before[udp] == 0 || before[udp] >= datagrams || before[tcp] == 0 {
		t.Errorf("%v datagrams and %v SYNs are counted", before[udp], before[tcp])
	}
	for n := range 2 {
		f.upgrade(t)
		visit(t, r)
		if now := p.scrape(t); now[udp] != before[udp] || now[tcp] != before[tcp] {
			t.Errorf("upgrade %d: %v datagrams and %v SYNs, %v and %v before", n, now[udp], now[tcp], before[udp], before[tcp])
		}
	}
}

// overflow sends datagrams, and conns until the kernel drops some, while the process stands still. It
// returns when all conns were accepted.
func overflow(t *testing.T, r *rig, pid, datagrams int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var dials sync.WaitGroup
	defer dials.Wait()
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }() // fails if it has ended
	flow := r.client.dial(t, "udp", "192.0.2.7:80")
	for range datagrams {
		if _, err := flow.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the accept queue overflows", func() bool {
		dials.Go(func() {
			if conn, err := r.client.tryDial("tcp", "", "192.0.2.7:80"); err == nil {
				conn.Close()
			}
		})
		return strings.Fields(r.edge.output(t, "nstat", "-asz", "TcpExtListenOverflows"))[2] != "0"
	})
}
