package tcp

import (
	"fmt"
	"net/netip"

	"anyport/config"
	"anyport/proxy/header"
)

// Inbound is what a Conn has of its PROXY header. The header itself is in the socket until an origin
// has accepted.
type Inbound struct {
	Peer   netip.AddrPort `json:"peer"`
	Dst    netip.AddrPort `json:"dst,omitzero"`     // that the header names, or the conn's
	Size   int            `json:"size,omitempty"`   // of the header, if it is still in the socket
	Naming bool           `json:"naming,omitempty"` // it has not come yet: there is no origin, and no socket to one
}

// naming reports whether the conn still waits for its header.
func (in *Conn) naming() bool { return in.Inbound != nil && in.Inbound.Naming }

// check returns an error for what no process can have sent.
func (in *Inbound) check() error {
	switch {
	case in == nil:
		return nil
	case !in.Peer.IsValid() || in.Peer.Port() == 0 || in.Peer.Addr().Is4In6() || !in.Dst.IsValid() || in.Dst.Addr().Is4In6():
		return fmt.Errorf("a conn from peer %v, which names dst %v, cannot be", in.Peer, in.Dst)
	case in.Size < 0 || in.Size > header.MaxInbound:
		return fmt.Errorf("a PROXY header of %d bytes from peer %v cannot be", in.Size, in.Peer)
	}
	return nil
}

// exportInbound is the conn's header as another process gets it.
func (c *conn) exportInbound() *Inbound {
	if c.inbound == nil {
		return nil
	}
	return &Inbound{Peer: c.inbound.peer, Dst: c.inbound.dst, Size: c.inbound.size, Naming: c.state == naming}
}

// importInbound is its inverse. What the kernel was asked to await may still hold.
func (c *conn) importInbound(in *Inbound) {
	if in == nil {
		return
	}
	c.inbound = &inbound{peer: in.Peer, dst: in.Dst, size: in.Size, awaits: in.Naming, admitted: !in.Naming}
	if in.Naming {
		c.state = naming
	}
}

// readmit counts a conn of another process on its route.
func (c *conn) readmit() {
	if c.state == naming {
		c.route.ReadmitPeer(config.TCP)
		return
	}
	c.route.Readmit(config.TCP, c.client.Addr())
}
