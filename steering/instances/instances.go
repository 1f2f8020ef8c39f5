package instances

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"anyport/steering/capabilities"
)

// Instance is an anyport that serves in this network namespace.
type Instance struct {
	PID      int            `json:"pid"`
	Config   string         `json:"config"` // path of its file
	Device   string         `json:"device"` // that its local routes refer to
	Program  uint32         `json:"program_id"`
	Prefixes []netip.Prefix `json:"prefixes"` // that it serves, or keeps local for conns that end
}

// Announcement answers other processes in the network namespace with what this one serves. It listens on an
// abstract unix socket: these belong to a network namespace, and end with the process. Its goroutine, serve, is
// started by Announce and ends with Close.
type Announcement struct {
	listener net.Listener
	Name     string                 // of the socket: what List leaves out
	notice   atomic.Pointer[Notice] // never nil; serve reads it, the steering replaces it
}

// Notice is what the other processes learn. It is made into text only when one of them asks, since a
// million prefixes take time.
type Notice struct {
	Config   string                 // path of the file
	Device   string                 // that the local routes refer to
	Program  uint32                 // id
	Prefixes iter.Seq[netip.Prefix] // of the table in service; read for each answer
	Retired  []netip.Prefix         // of earlier tables, still local
}

const (
	SocketPrefix = "@anyport/" // then 26 random letters and digits
	timeout      = time.Second // of each of connecting and answering: a stranger may listen and say nothing
	maxAnswer    = 64 << 20    // bytes of an answer: some 2 million prefixes
)

// Announce listens in the network namespace of this thread.
func Announce() (*Announcement, error) {
	p := &Announcement{Name: SocketPrefix + rand.Text()}
	var err error
	if p.listener, err = net.Listen("unix", p.Name); err != nil {
		return nil, fmt.Errorf("announce this process to other instances of anyport: %w", err)
	}
	p.notice.Store(&Notice{Prefixes: func(func(netip.Prefix) bool) {}})
	go p.serve()
	return p, nil
}

// serve answers until the listener is closed. Announce starts it.
func (p *Announcement) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		if trusted(conn) {
			_ = conn.SetDeadline(time.Now().Add(timeout))
			_ = json.NewEncoder(conn).Encode(p.notice.Load().instance()) // a peer that has gone learns nothing
		}
		conn.Close()
	}
}

// instance makes the answer, on the goroutine that serves. Retired prefixes belong to it: they are local, so
// nobody else may make them local, or remove their routes.
func (n *Notice) instance() Instance {
	i := Instance{PID: os.Getpid(), Config: n.Config, Device: n.Device, Program: n.Program, Prefixes: slices.Clone(n.Retired)}
	for prefix := range n.Prefixes {
		i.Prefixes = append(i.Prefixes, prefix)
	}
	return i
}

// Close ends it, and the goroutine that answers.
func (p *Announcement) Close() error {
	if p == nil {
		return nil
	}
	return p.listener.Close()
}

// List lists the instances of anyport that serve in this thread's network namespace, without
// the one that listens on the socket of that name.
func List(except string) ([]Instance, error) {
	names, err := socketNames()
	if err != nil {
		return nil, err
	}
	var all []Instance
	for _, name := range names {
		if name == except {
			continue
		}
		if i, ok := ask(name); ok {
			all = append(all, i)
		}
	}
	return all, nil
}

// socketNames lists the sockets' names. Any user can open one with such a name.
func socketNames() ([]string, error) {
	text, err := os.ReadFile("/proc/thread-self/net/unix")
	if err != nil {
		return nil, fmt.Errorf("look for other instances of anyport: %w", err)
	}
	var names []string
	for line := range bytes.Lines(text) {
		if i := bytes.Index(line, []byte(SocketPrefix)); i >= 0 {
			names = append(names, strings.TrimSpace(string(line[i:])))
		}
	}
	slices.Sort(names) // a connection that waits to be accepted has the name, too
	return slices.Compact(names), nil
}

// ask is not ok if nobody answers, or somebody that this process does not trust.
func ask(name string) (i Instance, ok bool) {
	conn, err := net.DialTimeout("unix", name, timeout)
	if err != nil {
		return i, false
	}
	defer conn.Close()
	if !trusted(conn) || conn.SetDeadline(time.Now().Add(timeout)) != nil {
		return i, false
	}
	err = json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&i)
	return i, err == nil
}

// trusted reports whether the other end is root, this user, or a process that holds what an
// anyport keeps of its capabilities, as one that systemd runs with DynamicUser=.
func trusted(conn net.Conn) bool {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if controlErr != nil || err != nil {
		return false
	}
	return peer.Uid == 0 || int(peer.Uid) == os.Geteuid() || privileged(int(peer.Pid))
}

// privileged reports whether a process holds CAP_NET_ADMIN or CAP_NET_BIND_SERVICE in this
// user namespace: in one of its own, anybody holds all. By the time of this check the pid
// may belong to another process.
func privileged(pid int) bool {
	own, err := os.Stat("/proc/self/ns/user")
	if err != nil {
		return false
	}
	its, err := os.Stat(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil || !os.SameFile(own, its) {
		return false
	}
	held, err := capabilities.Read(pid)
	return err == nil && held.Effective&capabilities.Of(unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE) != 0
}

// Update makes n the answer from now on. Any goroutine may call it.
func (p *Announcement) Update(n *Notice) { p.notice.Store(n) }
