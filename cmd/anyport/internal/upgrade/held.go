package upgrade

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
	"anyport/steering"
)

// A process on trial holds copies of all that an upgrade would give it. While the process before lives it uses none of
// them. When that dies, they are what is left: the sockets with whoever waits in their queues, and the steering.

// deathTime is how long a process may take to end after its end of the stream is closed.
const deathTime = 5 * time.Second

// hold takes another offer in place of the one before. A spare program came with the first one alone.
func (p *Predecessor) hold(m handover.Message, s Sharer) error {
	next, err := decodeOffer(m)
	if err != nil {
		return err
	}
	for name, fd := range p.FDs {
		if _, replaced := next.FDs[name]; !replaced && strings.HasPrefix(name, steering.Spare) {
			next.FDs[name] = fd
			continue
		}
		defer unix.Close(fd) // after s holds the others
	}
	next.Trial, next.File = p.Trial, p.File
	next.Listeners = p.Listeners // read before this process had some, and copies of others
	p.Offer = next
	s.Held(p.FDs)
	s.Follow(p.Segment)
	return nil
}

// Died reports, once ServeTrial has returned an error, whether the process before has ended. It waits for the end, since
// the kernel closes the stream somewhat earlier.
func (p *Predecessor) Died() bool { return p.peer.EndsWithin(deathTime) }

// PassOn gives what a dead process has left, and the live conns of s, to another part of this process, which has [Meet]
// on the other end of the stream. An error before that serves has changed nothing.
func PassOn(to *handover.Conn, left Offer, s Sharer, connFiles int) error {
	defer to.Close()
	if err := to.SetTimeout(Timeout); err != nil {
		return err
	}
	if err := left.send(to); err != nil {
		return err
	}
	if _, err := to.Expect(handover.Prepared); err != nil {
		return err
	}
	if err := to.Send(handover.Yours, nil); err != nil {
		return err
	}
	if _, err := to.Expect(handover.Ready); err != nil {
		return err
	}
	if err := to.Send(handover.Go, Ahead{ConnFiles: connFiles, PeersChanged: left.PeersChanged}); err != nil {
		return err
	}
	return s.GiveBack(func(conns []tcp.Conn) error { return giveBatch(to, conns) })
}
