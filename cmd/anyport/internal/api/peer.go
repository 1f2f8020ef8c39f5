package api

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a conn of the admin socket, as the kernel recorded it at
// connect(2): what the process becomes later does not count.
type peer struct {
	uid    int  // in this process's user namespace; -1: not known
	owner  int  // the user that this process runs as
	member bool // of admin.group
}

// NoGroup is the number of no group.
const NoGroup = -1

// readPeer asks the kernel (unix(7), SO_PEERCRED and SO_PEERGROUPS).
func readPeer(conn *net.UnixConn, group int) peer {
	p := peer{uid: -1, owner: os.Geteuid()}
	raw, err := conn.SyscallConn()
	if err != nil {
		return p
	}
	_ = raw.Control(func(fd uintptr) { // fails if the conn is closed: the user stays unknown
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p.uid = int(cred.Uid)
			p.member = group != NoGroup && (int(cred.Gid) == group || slices.Contains(peerGroups(int(fd)), uint32(group)))
		}
	})
	return p
}

// mostGroups is NGROUPS_MAX.
const mostGroups = 65536

// peerGroups are the supplementary groups of the peer; none if the kernel does not say.
func peerGroups(fd int) []uint32 {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4]
		case errno == unix.ERANGE && size/4 > uint32(len(groups)) && size/4 <= mostGroups: // it says how many there are
			groups = make([]uint32, size/4)
		default:
			return nil
		}
	}
}

// root reports whether the peer may do everything.
func (p peer) root() bool { return p.uid == 0 }

// may reports whether p has a right.
func (p peer) may(r right) bool {
	return p.root() || r <= ownerToo && p.uid == p.owner || r == groupToo && p.member
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
