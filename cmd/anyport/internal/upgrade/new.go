package upgrade

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/udp"
)

// Predecessor is the process that still serves, as the one that takes its place sees it. The methods
// are called in the order in which they stand here, by one goroutine; the last is ReceiveConns.
type Predecessor struct {
	Offer // what nobody has taken of its FDs is closed by Close

	conn  *handover.Conn
	peer  *handover.Peer // of a trial; else nil
	flows udp.Arrivals
}

// Meet waits for the offer of the process before. After an error conn is still the caller's.
func Meet(conn *handover.Conn) (*Predecessor, error) {
	if err := conn.SetTimeout(Timeout); err != nil {
		return nil, err
	}
	offer, err := receiveOffer(conn)
	if err != nil {
		return nil, fmt.Errorf("the process to be replaced: %w", err)
	}
	p := &Predecessor{Offer: offer, conn: conn}
	if offer.Trial {
		p.peer = conn.Peer()
	}
	return p, nil
}

// Take returns the file descriptor of that name, which then is the caller's; -1 if there is none.
func (p *Predecessor) Take(name string) int {
	fd, ok := p.FDs[name]
	if !ok {
		return -1
	}
	delete(p.FDs, name)
	return fd
}

// TakeAdmin returns the listener of the admin socket, which must be that of path; nil if there is
// none. Its Close does not remove the socket.
func (p *Predecessor) TakeAdmin(path string) (*net.UnixListener, error) {
	fd := p.Take(FDAdmin)
	if fd < 0 {
		return nil, nil
	}
	file := os.NewFile(uintptr(fd), FDAdmin)
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	if old := listener.Addr().String(); old != path {
		listener.Close()
		return nil, fmt.Errorf("admin.socket: %q cannot become %q in an upgrade: restart it, or put the old value back", old, path)
	}
	unixListener, ok := listener.(*net.UnixListener)
	if !ok {
		listener.Close()
		return nil, fmt.Errorf("admin.socket: the process to be replaced gave a listener on %s", listener.Addr().Network())
	}
	return unixListener, nil
}

// ReceiveFlows says that all that can fail has not failed, and returns when the other process reads
// and accepts nothing any more. listeners is how many UDP listeners there are.
func (p *Predecessor) ReceiveFlows(listeners int) error {
	if err := p.conn.SetTimeout(2 * Timeout); err != nil { // the other process sets the pace
		return err
	}
	if err := p.conn.Send(handover.Prepared, nil); err != nil {
		return err
	}
	for {
		m, err := p.conn.Receive()
		if err != nil {
			return fmt.Errorf("the process to be replaced: %w", err)
		}
		switch m.Kind {
		case handover.Yours:
			return nil
		case handover.Flows:
			if err := p.addFlows(m, listeners); err != nil {
				return err
			}
		default:
			m.CloseFDs()
			return fmt.Errorf("the process to be replaced: unexpected message %q, want %q or %q", m.Kind, handover.Flows, handover.Yours)
		}
	}
}

// addFlows checks every flow before it keeps the sockets: a flow that cannot be right would end a loop.
func (p *Predecessor) addFlows(m handover.Message, listeners int) error {
	var flows []udp.Flow
	err := m.Decode(&flows)
	for i := 0; i < len(flows) && err == nil; i++ {
		err = flows[i].Check(listeners)
	}
	if err == nil {
		err = p.flows.Add(flows, m.FDs)
	}
	if err != nil {
		m.CloseFDs()
	}
	return err
}

// TakeFDs returns all file descriptors that nobody has taken: the steering's. They are the caller's.
func (p *Predecessor) TakeFDs() map[string]int {
	fds := p.FDs
	p.FDs = nil
	return fds
}

// FlowFiles is how many file descriptors the flows hold.
func (p *Predecessor) FlowFiles() int { return len(udp.Detach(p.flows.Flows)) }

// Ready says that this process would serve, and returns when it has to: when the other one says so,
// or when it has ended.
func (p *Predecessor) Ready() (ahead Ahead, err error) {
	if err := p.conn.Send(handover.Ready, nil); err != nil {
		return ahead, err
	}
	m, err := p.conn.Expect(handover.Go)
	switch {
	case errors.Is(err, io.EOF): // it has ended, and its conns with it
		return ahead, nil
	case err != nil:
		return ahead, fmt.Errorf("the process to be replaced serves on: %w", err)
	}
	_ = m.Decode(&ahead) // an older process sends nothing with it
	ahead.ConnFiles = max(ahead.ConnFiles, 0)
	return ahead, nil
}

// TakeFlows returns the flows, whose sockets then are the caller's.
func (p *Predecessor) TakeFlows() []udp.Flow {
	flows := p.flows.Flows
	p.flows = udp.Arrivals{}
	return flows
}

// Close closes what nobody has taken. The conn to the other process stays open: it is the caller's
// until ReceiveConns.
func (p *Predecessor) Close() error {
	p.LetGo()
	p.flows.Close()
	return p.peer.Close()
}

// LetGo closes the file descriptors that nobody has taken.
func (p *Predecessor) LetGo() {
	for _, fd := range p.FDs {
		unix.Close(fd)
	}
	p.FDs = nil
}
