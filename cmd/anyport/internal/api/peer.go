package api

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a conn of the admin socket, as the kernel recorded it at
// connect(2): what the process becomes later does not count.
type peer struct {
	uid   int // in this process's user namespace; -1: not known
	owner int // the user that this process runs as
}

// readPeer asks the kernel (unix(7), SO_PEERCRED).
func readPeer(conn *net.UnixConn) peer {
	p := peer{uid: -1, owner: os.Geteuid()}
	raw, err := conn.SyscallConn()
	if err != nil {
		return p
	}
	_ = raw.Control(func(fd uintptr) { // fails if the conn is closed: the user stays unknown
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p.uid = int(cred.Uid)
		}
	})
	return p
}

// root reports whether the peer may do everything.
func (p peer) root() bool { return p.uid == 0 }

// may reports whether p has a right.
func (p peer) may(r right) bool {
	return p.root() || r == ownerToo && p.uid == p.owner
}

func (p peer) String() string {
	if p.uid < 0 {
		return "an unknown user"
	}
	return fmt.Sprintf("user %d", p.uid)
}

// peerOf returns the peer of the conn that a request came on.
func peerOf(r *http.Request) peer {
	if conn, ok := r.Context().Value(connKey{}).(*fileConn); ok {
		return conn.peer
	}
	return peer{uid: -1}
}
