package upgrade

import (
	"fmt"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
)

// Sharer is a process on trial, as [Predecessor.ServeTrial] needs it.
type Sharer interface {
	// Count returns what was counted.
	Count() ShareCounts

	// Held is called when other file descriptors are to be held for the death of the process before. They stay the
	// Predecessor's.
	Held(map[string]int)

	// Follow is called after that, when something has changed in the process before that this one has to follow: the
	// segment of Offer, or the file of the access log, which it has opened again.
	Follow(segment int)

	// GiveBack accepts what waits, and then calls give with all live conns, as proxy.Server.MoveConns does.
	GiveBack(give func([]tcp.Conn) error) error
}

// ServeTrial says that this process serves its listener, and then does what the process before asks for. It returns nil
// when that has ended the trial, and an error if that has ended or GiveBack has failed: see Died. The file descriptor of
// the listener is copied.
func (p *Predecessor) ServeTrial(s Sharer, version string, listener int) error {
	defer p.conn.Close()
	if err := p.conn.Send(handover.Prepared, prepared{version}, listener); err != nil {
		return err
	}
	for {
		if err := p.conn.SetNoTimeout(); err != nil {
			return err
		}
		m, err := p.conn.Receive()
		if err != nil {
			return err
		}
		if m.Kind == handover.Hold {
			if err := p.hold(m, s); err != nil {
				return err
			}
			continue
		}
		m.CloseFDs()
		if err := p.conn.SetTimeout(Timeout); err != nil {
			return err
		}
		switch m.Kind {
		case handover.Count:
			if err := p.conn.Send(handover.Counted, s.Count()); err != nil {
				return err
			}
		case handover.GiveBack:
			s.Held(nil) // from here on only the process before decides when all that ends
			p.LetGo()
			if err := s.GiveBack(func(conns []tcp.Conn) error { return giveBatch(p.conn, conns) }); err != nil {
				return fmt.Errorf("give the conns back: %w", err)
			}
			return p.conn.Send(handover.Counted, s.Count())
		default:
			return fmt.Errorf("unexpected message %q", m.Kind)
		}
	}
}
