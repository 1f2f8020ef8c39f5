package demo

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"anyport/config"
)

// askers is how many exchanges are under way at once, each with a socket or a conn of its own: more would only
// queue on a small machine.
const askers = 64

// mostShown is how many of the wrong answers are shown.
const mostShown = 5

// sweepAll asks every port over TCP and UDP, IPv4 and IPv6, and returns how many
// answers were wrong or missing.
func sweepAll(ctx context.Context, opt Options) (wrong int, err error) {
	for _, addr := range swept {
		for _, network := range []string{"tcp", "udp"} {
			s := &sweep{network: network, addr: addr, first: opt.First, last: opt.Last}
			if err := s.run(ctx, opt); err != nil {
				return wrong, err
			}
			wrong += int(s.wrong.Load())
		}
	}
	return wrong, nil
}

// sweep asks the ports of one address over one protocol. Its askers share the counters; each takes the
// next port until none is left, so a slow answer holds up one asker only.
type sweep struct {
	network     string
	addr        netip.Addr
	first, last uint16
	begun       time.Time

	next         atomic.Uint32 // ports handed out
	right, wrong atomic.Int64

	mu    sync.Mutex
	shown []string // the first wrong answers
}

// run sweeps, while a bar on opt.Out follows.
func (s *sweep) run(ctx context.Context, opt Options) error {
	s.begun = time.Now()
	var asking errgroup.Group
	for range askers {
		asking.Go(func() error { return s.ask(ctx) })
	}
	stop := follow(s, opt.Out)
	err := asking.Wait()
	stop()
	for _, line := range s.shown {
		fmt.Fprintln(opt.Out, "  wrong:", line)
	}
	return err
}

// ask is one asker: it takes the next port until none is left.
func (s *sweep) ask(ctx context.Context) error {
	asker, err := newAsker(s.network, clientFor(s.addr))
	if err != nil {
		return err
	}
	defer asker.close()
	for {
		port := uint32(s.first) + s.next.Add(1) - 1
		if port > uint32(s.last) {
			return nil
		}
		dst := netip.AddrPortFrom(s.addr, uint16(port))
		_, err := asker.ask(ctx, dst, question(dst))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.note(dst, err)
	}
}

// note counts one exchange and keeps the first wrong ones to show.
func (s *sweep) note(dst netip.AddrPort, err error) {
	if err == nil {
		s.right.Add(1)
		return
	}
	s.wrong.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.shown) < mostShown {
		s.shown = append(s.shown, fmt.Sprintf("%s %v: %v", s.network, dst, err))
	}
}

// ports is how many ports are asked.
func (s *sweep) ports() int { return int(s.last) - int(s.first) + 1 }

// ParsePorts reads "A-B", or a single port.
func ParsePorts(text string) (first, last uint16, err error) {
	ports, ok := config.ParsePorts(text)
	if !ok {
		return 0, 0, fmt.Errorf("ports %q: write them as A-B, from 1 to 65535", text)
	}
	return ports.First, ports.Last, nil
}
