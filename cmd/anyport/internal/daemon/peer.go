package daemon

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a conn of the admin socket, as the kernel noted
// it when it connected.
type peer struct {
	uid   int // in this process's user namespace; -1: not known
	owner int // the user that this process runs as
}

// peerOf asks the kernel (unix(7), SO_PEERCRED).
func peerOf(conn *net.UnixConn) peer {
	p := peer{uid: -1, owner: os.Geteuid()}
	raw, err := conn.SyscallConn()
	if err != nil {
		return p
	}
	_ = raw.Control(func(fd uintptr) { // fails where the conn is closed: not known
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p.uid = int(cred.Uid)
		}
	})
	return p
}

func (p peer) root() bool { return p.uid == 0 }

// may reports whether p has the right to what takes w. The user that anyport runs as may
// ask for what it could have by a signal, too.
func (p peer) may(w who) bool {
	return p.root() || w == owner && p.uid == p.owner
}

func (p peer) String() string {
	if p.uid < 0 {
		return "an unknown user"
	}
	return fmt.Sprintf("user %d", p.uid)
}

// askedBy is the peer of the conn that a request came by.
func askedBy(r *http.Request) peer {
	if conn, ok := r.Context().Value(connKey{}).(*passingConn); ok {
		return conn.peer
	}
	return peer{uid: -1}
}
