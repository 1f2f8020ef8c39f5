package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"anyport/bpf"
)

// watch greets the peers, and keeps what the programs know up to date, until ctx ends. Set starts it.
func (f *Fleet) watch(ctx context.Context) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	f.greetAll()
	for turn := 1; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := f.probeAll(); err != nil {
			f.log.Warn("cannot tell the kernel which peers answer", "error", err)
		}
		if turn%probesPerHello > 0 {
			continue
		}
		f.greetAll()
		f.mu.Lock()
		f.members.expire(time.Now())
		err := f.update(turn/probesPerHello%devicesEvery == 0)
		f.mu.Unlock()
		if err != nil {
			f.log.Warn("cannot tell the kernel about the peers", "error", err)
		}
	}
}

// devicesEvery is how many greetings there are from one look at the devices of clients to the next.
const devicesEvery = 5

const probesPerHello = int(helloInterval / probeInterval)

func (f *Fleet) greetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.greetEach(bpf.FleetMessageHELLO)
}

// sayBye has the peers ask this host no more.
func (f *Fleet) sayBye() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.greetEach(bpf.FleetMessageBYE)
}

// greetEach sends all peers a greeting. The caller holds mu.
func (f *Fleet) greetEach(kind bpf.FleetMessage) {
	for _, p := range f.members.addrs() {
		f.greet(kind, p)
	}
}

// Move tells the peers that routers will send packets elsewhere: this host begins to drain or ends that, or it
// announces other prefixes. For a while all hosts then ask about flows that they do not know. Tell them before the
// routers.
func (f *Fleet) Move() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members.move(time.Now())
	if f.closed || f.socket == nil {
		return // whoever becomes a peer learns of it by the first greeting
	}
	f.greetEach(bpf.FleetMessageHELLO)
	if err := f.update(false); err != nil {
		f.log.Warn("cannot tell the kernel about the peers", "error", err)
	}
}

// greet sends a greeting. The caller holds mu.
func (f *Fleet) greet(kind bpf.FleetMessage, to netip.Addr) {
	f.send(kind, f.members.greeting(to, f.device.mtu, time.Now()).encode(), to)
}

// send sends a message. A failure is no news: the peer notices that it hears nothing. The caller holds mu.
func (f *Fleet) send(kind bpf.FleetMessage, said body, to netip.Addr) {
	if f.socket == nil {
		return
	}
	f.sendBytes(encode(kind, said, f.options.Local, f.options.Key), to)
}

// sendBytes is send of what is encoded. The caller holds mu, and there is a socket.
func (f *Fleet) sendBytes(b []byte, to netip.Addr) {
	if _, err := f.socket.WriteToUDPAddrPort(b, netip.AddrPortFrom(to, Port)); err != nil {
		f.log.Debug("cannot send to a peer", "peer", to, "error", err)
	}
}

// receive reads what peers say, until ctx ends. Set starts it.
func (f *Fleet) receive(ctx context.Context) {
	buffer := make([]byte, 2*messageSize)
	for ctx.Err() == nil {
		f.mu.Lock()
		socket := f.socket
		f.mu.Unlock()
		_ = socket.SetReadDeadline(time.Now().Add(helloInterval))
		if ctx.Err() != nil { // or else a wake before this deadline would be lost
			return
		}
		n, from, err := socket.ReadFromUDPAddrPort(buffer)
		switch {
		case err == nil:
			if !f.hearOfFlow(buffer[:n], from.Addr().Unmap()) {
				f.hear(buffer[:n], from.Addr().Unmap(), time.Now())
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, net.ErrClosed): // there will be another one
			sleep(ctx, helloInterval/10)
		default:
			f.log.Debug("cannot receive from peers", "error", err)
			sleep(ctx, helloInterval/10)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// hear acts on a message. What peers say about conns (mine, gone) the program keeps.
func (f *Fleet) hear(b []byte, from netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind, said, ok := decode(b, from, f.options.Key, f.options.Also)
	if _, known := f.members.all[from]; !ok || !known {
		return
	}
	news, err := false, error(nil)
	switch kind {
	case bpf.FleetMessageHELLO:
		asked, changed := f.members.isAsked(from), f.members.changed
		if f.members.hello(from, decodeGreeting(said), now) {
			f.greet(bpf.FleetMessageHELLO, from)
		}
		news = !asked || f.members.changed != changed
	case bpf.FleetMessageBYE:
		news = f.members.bye(from, decodeGreeting(said), now)
	}
	if news {
		err = f.update(false)
	}
	if err != nil {
		f.log.Warn("cannot tell the kernel what a peer says", "peer", from, "error", err)
	}
}

// tell tells the peers what the program has found out, until the ring is closed. Set starts it.
func (f *Fleet) tell(events *ringbuf.Reader) {
	var record ringbuf.Record
	for {
		err := events.ReadInto(&record)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			f.log.Warn("cannot read what to tell the peers", "error", err)
			return
		}
		kind, peer, conn, ok := decodeEvent(record.RawSample)
		if !ok {
			continue
		}
		f.mu.Lock()
		if kind == bpf.FleetMessageMINE {
			f.told.Add(1)
		}
		f.send(kind, conn, peer)
		f.mu.Unlock()
	}
}

// openEvents opens the ring buffer. A read that waits ends when it is closed.
func openEvents(m *ebpf.Map) (*ringbuf.Reader, error) {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, fmt.Errorf("open the ring buffer of the fleet: %w", err)
	}
	return r, nil
}

// decodeEvent reads struct event of fleet.h.
func decodeEvent(b []byte) (kind bpf.FleetMessage, peer netip.Addr, conn body, ok bool) {
	if len(b) < 20+bodySize {
		return 0, peer, conn, false
	}
	copy(conn[:], b[20:])
	peer = netip.AddrFrom16([16]byte(b[4:20])).Unmap()
	return bpf.FleetMessage(binary.NativeEndian.Uint32(b)), peer, conn, true
}
