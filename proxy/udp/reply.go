package udp

import (
	"container/list"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/quota"
)

// reply is what answers for one dst, shared by all flows of that dst.
type reply struct {
	dst    netip.AddrPort
	answer datagram.ReplySocket
	users  int           // flows
	recent *list.Element // in the order of use; nil where no socket is held open
}

// replies keeps a reply for each dst with flows. Their sockets are open as far as the
// files allow; the least recently used is closed for another, and opened again on demand.
type replies struct {
	files *quota.Quota
	open  func(dst netip.AddrPort) (datagram.ReplySocket, error)
	close func(fd int)

	voices *voices
	held   map[netip.AddrPort]*reply
	recent *list.List // of *reply, least recently used first
}

func newReplies(files *quota.Quota, voices *voices, open func(netip.AddrPort) (datagram.ReplySocket, error), close func(int)) *replies {
	return &replies{files: files, open: open, close: close, voices: voices, held: map[netip.AddrPort]*reply{}, recent: list.New()}
}

// acquire returns the reply of dst, known to work; who gets it owes one release.
func (rs *replies) acquire(dst netip.AddrPort) (*reply, error) {
	r := rs.of(dst)
	if _, err := rs.use(r); err != nil {
		return nil, err
	}
	return rs.hold(r), nil
}

// of returns the reply of dst, which is held if it has users.
func (rs *replies) of(dst netip.AddrPort) *reply {
	if r := rs.held[dst]; r != nil {
		return r
	}
	return &reply{dst: dst}
}

// hold counts one more user of r, who owes one release.
func (rs *replies) hold(r *reply) *reply {
	if r.users++; r.users == 1 {
		rs.held[r.dst] = r
		rs.voices.add(r.dst)
	}
	return r
}

// use returns what answers for r just now.
func (rs *replies) use(r *reply) (datagram.ReplySocket, error) {
	switch {
	case r.recent != nil:
		rs.recent.MoveToBack(r.recent)
		return r.answer, nil
	case r.answer.Raw():
		return r.answer, nil
	}
	if !rs.files.Take(1) {
		if rs.recent.Len() == 0 {
			return datagram.ReplySocket{}, unix.EMFILE
		}
		rs.shut(rs.recent.Front().Value.(*reply))
		rs.files.Insist(1) // one for one, also where there are more by now than may be
	}
	answer, err := rs.open(r.dst)
	if err != nil {
		rs.files.Give(1)
		return datagram.ReplySocket{}, err
	}
	if r.answer = answer; answer.Raw() {
		rs.files.Give(1)
	} else {
		r.recent = rs.recent.PushBack(r)
	}
	return answer, nil
}

// release takes back one acquire; the last one closes the socket.
func (rs *replies) release(r *reply) {
	if r.users--; r.users > 0 {
		return
	}
	delete(rs.held, r.dst)
	rs.voices.remove(r.dst)
	if r.recent != nil {
		rs.shut(r)
	}
}

func (rs *replies) shut(r *reply) {
	rs.recent.Remove(r.recent)
	r.recent = nil
	rs.close(r.answer.FD)
	rs.files.Give(1)
}
