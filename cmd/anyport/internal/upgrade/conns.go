package upgrade

import (
	"errors"
	"fmt"
	"io"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
)

// ReceiveConns calls adopt with the conns of the other process until that has no more, and closes the
// stream to it. It returns how many came, also with an error; the rest then stays there.
func (p *Predecessor) ReceiveConns(adopt func([]tcp.Conn)) (n int, err error) {
	defer p.conn.Close()
	for {
		if err := p.conn.SetTimeout(Timeout); err != nil {
			return n, err
		}
		m, err := p.conn.Expect(handover.Conns)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		conns, err := takeBatch(p.conn, m)
		if err != nil {
			return n, err
		}
		adopt(conns)
		n += len(conns)
	}
}

// takeBatch takes the conns of a message, and says that they are this process's: from then on the other one does not
// touch them.
func takeBatch(from *handover.Conn, m handover.Message) ([]tcp.Conn, error) {
	conns, err := decodeConns(m)
	if err == nil {
		err = from.Send(handover.Taken, nil)
	}
	if err != nil {
		m.CloseFDs()
		return nil, err
	}
	return conns, nil
}

// decodeConns gives each conn its file descriptors.
func decodeConns(m handover.Message) ([]tcp.Conn, error) {
	var conns []tcp.Conn
	if err := m.Decode(&conns); err != nil {
		return nil, err
	}
	fds := m.FDs
	for i := range conns {
		n := conns[i].Files()
		if n > len(fds) {
			return nil, fmt.Errorf("%d conns came with %d file descriptors", len(conns), len(m.FDs))
		}
		conns[i].FDs, fds = fds[:n:n], fds[n:]
		if err := conns[i].Check(); err != nil {
			return nil, err
		}
	}
	if len(fds) > 0 {
		return nil, fmt.Errorf("%d conns came with %d file descriptors", len(conns), len(m.FDs))
	}
	return conns, nil
}
