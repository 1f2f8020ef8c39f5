package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// storm is a set of clients that keep asking.
type storm struct {
	from    *host
	ctx     context.Context
	stop    context.CancelFunc
	clients sync.WaitGroup
	asked   atomic.Int64
	stayed  atomic.Int64 // datagrams of clients that stay with one flow

	mu  sync.Mutex
	log []trial
}

func newStorm(t *testing.T, from *host) *storm {
	s := &storm{from: from}
	s.ctx, s.stop = context.WithCancel(t.Context())
	t.Cleanup(func() { s.calm() })
	return s
}

// calm ends the storm and returns everything that was exchanged.
func (s *storm) calm() []trial {
	s.stop()
	s.clients.Wait()
	return s.log
}

// rage starts a client that asks one question after the other: every case in turn, over
// TCP and UDP, IPv4 and IPv6. Each question goes to an address of its own, because a flow
// that began under one table would be answered the same way under the next.
func (s *storm) rage(worker int) {
	s.clients.Go(func() { // ended by calm
		s.from.do(func() {
			var log []trial
			for n := worker; s.ctx.Err() == nil; n += 8 {
				c := stormCases[n/4%len(stormCases)]
				network, prefix := [...]string{"tcp4", "udp4", "tcp6", "udp6"}[n%4], c.v4
				if network[3] == '6' {
					prefix = c.v6
				}
				dst := netip.AddrPortFrom(within(netip.MustParsePrefix(prefix), n), c.port)
				x := trial{span: span{begun: time.Now()}, asked: fmt.Sprint(network, " ", dst), valid: c.valid}
				drops := backlogDrops()
				x.answer = c.ask(network, dst, n)
				x.ended = time.Now()
				s.asked.Add(1)
				if x.answer == silent && backlogDrops() != drops {
					continue // proves nothing
				}
				log = append(log, x)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.log = append(s.log, log...)
		})
	})
}

// within returns the n-th address of a prefix, counted modulo 2^15.
func within(prefix netip.Prefix, n int) netip.Addr {
	b := prefix.Addr().AsSlice()
	b[len(b)-2] += byte(n >> 8 & 0x7f)
	b[len(b)-1] += byte(n)
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// ask returns the name of the origin that answers, or refused, cut or silent. A datagram
// may be steered by one table and have no route in the next: then it is sent again, as
// real clients do. If both tables serve the dst, none may be lost.
func (c stormCase) ask(network string, dst netip.AddrPort, n int) string {
	conn, err := (&net.Dialer{Timeout: patience}).Dial(network, dst.String())
	if err != nil {
		return resetIsCut(err)
	}
	defer conn.Close()
	question, tries, wait := fmt.Sprintf("question %d", n), 1, patience
	if network[:3] == "udp" && (c.valid[0] == refused || c.valid[1] == refused) {
		tries, wait = 40, patience/40
	}
	answer := make([]byte, 100)
	for range tries {
		var size int
		conn.SetDeadline(time.Now().Add(wait))
		if _, err = io.WriteString(conn, question); err == nil {
			size, err = conn.Read(answer)
		}
		name, echoed, _ := strings.Cut(string(answer[:size]), " ")
		switch {
		case err == nil && echoed == question:
			return name
		case err == nil:
			return fmt.Sprintf("%q", answer[:size])
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return resetIsCut(err)
		}
	}
	return silent
}

// resetIsCut is outcome, and cut for a conn that was accepted and then ended, which the dial
// itself may see. A removed prefix is refused while it lingers, and cannot be reached
// afterwards: unreachable counts as refused.
func resetIsCut(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF):
		return cut
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return refused
	}
	return outcome(err)
}

// steady starts a client that keeps one conn or flow for the whole storm.
func (s *storm) steady(t *testing.T, network, dst string) {
	t.Helper()
	conn := s.from.dial(t, network, dst)
	s.clients.Go(func() { // ended by calm
		for n := 0; s.ctx.Err() == nil; n++ {
			drops := backlogDrops()
			err := s.insist(conn, network, n)
			if network == "udp" && errors.Is(err, os.ErrDeadlineExceeded) && backlogDrops() != drops {
				conn.SetDeadline(time.Now().Add(patience / 100))
				io.Copy(io.Discard, conn) // the answers to what was not lost
				continue
			}
			if err != nil {
				t.Errorf("%s %s that stays: %v", network, dst, err)
				return
			}
			time.Sleep(time.Millisecond) // there is more to do than this
		}
	})
}

// insist asks once, or in a flow a few times at once, and expects every answer, once. A reload moves a flow
// from the kernel's path to that of user space, so a datagram may overtake those before it.
func (s *storm) insist(conn net.Conn, network string, n int) error {
	burst := 1
	if network == "udp" {
		burst = 4
	}
	conn.SetDeadline(time.Now().Add(patience))
	question := func(i int) string { return fmt.Sprintf("question %d.%d", n, i) }
	for i := range burst {
		if _, err := io.WriteString(conn, question(i)); err != nil {
			return fmt.Errorf("%s: %w", question(i), err)
		}
	}
	answer, missing := make([]byte, 100), map[string]bool{}
	for i := range burst {
		missing["same "+question(i)] = true
	}
	for len(missing) > 0 {
		size, err := io.ReadAtLeast(conn, answer, 1)
		if err != nil || !missing[string(answer[:size])] {
			return fmt.Errorf("%s: %q, %w", question(0), answer[:size], err)
		}
		delete(missing, string(answer[:size]))
	}
	if network == "udp" {
		s.stayed.Add(int64(burst))
	}
	return nil
}

// replyAll answers each piece that arrives until the end of the conn.
func replyAll(conn net.Conn, reply func([]byte) []byte) {
	piece := make([]byte, 1<<10)
	for {
		n, err := conn.Read(piece)
		if err != nil {
			return
		}
		conn.Write(reply(piece[:n]))
	}
}

// backlogDrops counts the packets that the cores of this machine dropped on the way from
// one namespace to another: these never reached anyport. While it grows, for example
// under the load of other programs, an unanswered datagram is not a fault of anyport.
func backlogDrops() (all uint64) {
	cores, _ := os.ReadFile("/proc/net/softnet_stat")
	for core := range strings.Lines(string(cores)) {
		if columns := strings.Fields(core); len(columns) > 1 {
			dropped, _ := strconv.ParseUint(columns[1], 16, 64)
			all += dropped
		}
	}
	return all
}
