package udp

import (
	"container/list"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/quota"
)

// reply is what answers from one dst, for all flows of that dst. One unconnected socket answers all
// their clients. PKTINFO can choose the source address of a datagram but not its port, so the socket
// must be bound to the dst.
type reply struct {
	dst    netip.AddrPort
	socket datagram.ReplySocket
	flows  int           // that hold it
	recent *list.Element // in the order of use; nil where no socket of its own is open
}

// replies has a reply for each dst with flows. Their sockets are open as far as the quota of files
// allows; the least recently used one is closed for another, and opened again on demand. It belongs
// to one loop.
type replies struct {
	files       *quota.Quota
	openSocket  func(dst netip.AddrPort) (datagram.ReplySocket, error)
	closeSocket func(fd int)

	addrs  *flow.ReplyAddrs // of all loops
	held   map[netip.AddrPort]*reply
	recent *list.List // of *reply, least recently used first
}

func newReplies(files *quota.Quota, addrs *flow.ReplyAddrs, openSocket func(netip.AddrPort) (datagram.ReplySocket, error), closeSocket func(int)) *replies {
	return &replies{files: files, openSocket: openSocket, closeSocket: closeSocket, addrs: addrs, held: map[netip.AddrPort]*reply{}, recent: list.New()}
}

// acquire returns the reply of dst, known to work; the caller owes a release.
func (rs *replies) acquire(dst netip.AddrPort) (*reply, error) {
	r := rs.find(dst)
	if _, err := rs.use(r); err != nil {
		return nil, err
	}
	return rs.hold(r), nil
}

// acquireLater is acquire for a flow that goes on in any case: the socket is opened for the first
// datagram.
func (rs *replies) acquireLater(dst netip.AddrPort) *reply { return rs.hold(rs.find(dst)) }

// find returns the reply of dst, or a new one that nothing holds.
func (rs *replies) find(dst netip.AddrPort) *reply {
	if r := rs.held[dst]; r != nil {
		return r
	}
	return &reply{dst: dst}
}

// hold counts one more flow of r. The first one makes its dst known to all loops.
func (rs *replies) hold(r *reply) *reply {
	if r.flows++; r.flows == 1 {
		rs.held[r.dst] = r
		rs.addrs.Add(r.dst)
	}
	return r
}

// use returns the socket of r, opened if need be at the expense of the least recently used one. It is
// valid until the next call: datagrams for a socket that is closed are sent before.
func (rs *replies) use(r *reply) (datagram.ReplySocket, error) {
	switch {
	case r.recent != nil:
		rs.recent.MoveToBack(r.recent)
		return r.socket, nil
	case r.socket.Raw():
		return r.socket, nil
	}
	if !rs.files.Take(1) {
		if rs.recent.Len() == 0 {
			return datagram.ReplySocket{}, unix.EMFILE
		}
		rs.closeReply(rs.recent.Front().Value.(*reply))
		rs.files.Insist(1) // one for one, also where the limit was lowered below what is open
	}
	socket, err := rs.openSocket(r.dst)
	if err != nil {
		rs.files.Give(1)
		return datagram.ReplySocket{}, err
	}
	if r.socket = socket; socket.Raw() {
		rs.files.Give(1)
	} else {
		r.recent = rs.recent.PushBack(r)
	}
	return socket, nil
}

// release takes back one acquire; the last one closes the socket.
func (rs *replies) release(r *reply) {
	if r.flows--; r.flows > 0 {
		return
	}
	delete(rs.held, r.dst)
	rs.addrs.Remove(r.dst)
	if r.recent != nil {
		rs.closeReply(r)
	}
}

// closeReply closes the socket of r. Its flows go on: use opens it again.
func (rs *replies) closeReply(r *reply) {
	rs.recent.Remove(r.recent)
	r.recent = nil
	rs.closeSocket(r.socket.FD)
	rs.files.Give(1)
}
