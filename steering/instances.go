package steering

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Instance is an anyport that serves in this network namespace.
type Instance struct {
	PID      int            `json:"pid"`
	Config   string         `json:"config"` // path of its file
	Device   string         `json:"device"` // that its local routes refer to
	Program  uint32         `json:"program_id"`
	Prefixes []netip.Prefix `json:"prefixes"` // that it serves, or keeps local for conns that end
}

// presence tells others in the network namespace what this process serves. It listens on an
// abstract unix socket: these belong to a network namespace, and end with the process.
type presence struct {
	listener net.Listener
	name     string
	notice   atomic.Pointer[notice]
}

// notice is what the others are told, not yet as text: of a million prefixes that takes time.
type notice struct {
	config  string
	device  string
	program uint32
	table   *Table
	gone    []netip.Prefix // of earlier tables, still local
}

const (
	presencePrefix   = "@anyport/" // then 26 letters and digits by lot
	presencePatience = time.Second
	mostPresence     = 64 << 20 // bytes of an answer: some 2 million prefixes
)

// openPresence listens in the network namespace of this thread.
func openPresence() (*presence, error) {
	p := &presence{name: presencePrefix + rand.Text()}
	var err error
	if p.listener, err = net.Listen("unix", p.name); err != nil {
		return nil, fmt.Errorf("tell other instances of anyport about this one: %w", err)
	}
	p.notice.Store(&notice{table: newTable()})
	go p.serve()
	return p, nil
}

// serve answers until the listener is closed. openPresence starts it.
func (p *presence) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		if trusted(conn) {
			_ = conn.SetDeadline(time.Now().Add(presencePatience))
			_ = json.NewEncoder(conn).Encode(p.notice.Load().instance()) // who does not listen learns nothing
		}
		conn.Close()
	}
}

func (n *notice) instance() Instance {
	i := Instance{PID: os.Getpid(), Config: n.config, Device: n.device, Program: n.program, Prefixes: slices.Clone(n.gone)}
	for prefix := range n.table.sorted() {
		i.Prefixes = append(i.Prefixes, prefix)
	}
	return i
}

func (p *presence) close() error {
	if p == nil {
		return nil
	}
	return p.listener.Close()
}

// Instances lists the instances of anyport that serve in this thread's network namespace.
func Instances() ([]Instance, error) { return instances("") }

// instances leaves out the one that listens on the socket of that name.
func instances(except string) ([]Instance, error) {
	names, err := presences()
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

// presences lists the sockets' names. Any user can open one with such a name.
func presences() ([]string, error) {
	text, err := os.ReadFile("/proc/thread-self/net/unix")
	if err != nil {
		return nil, fmt.Errorf("look for other instances of anyport: %w", err)
	}
	var names []string
	for line := range bytes.Lines(text) {
		if i := bytes.Index(line, []byte(presencePrefix)); i >= 0 {
			names = append(names, strings.TrimSpace(string(line[i:])))
		}
	}
	slices.Sort(names) // a connection that waits to be accepted has the name, too
	return slices.Compact(names), nil
}

// ask is not ok where nobody answers whom this process believes.
func ask(name string) (i Instance, ok bool) {
	conn, err := net.DialTimeout("unix", name, presencePatience)
	if err != nil {
		return i, false
	}
	defer conn.Close()
	if !trusted(conn) || conn.SetDeadline(time.Now().Add(presencePatience)) != nil {
		return i, false
	}
	err = json.NewDecoder(io.LimitReader(conn, mostPresence)).Decode(&i)
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
// user namespace: in one of its own, anybody holds all.
func privileged(pid int) bool {
	own, err := os.Stat("/proc/self/ns/user")
	if err != nil {
		return false
	}
	its, err := os.Stat(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil || !os.SameFile(own, its) {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	var held uint64
	if _, after, ok := strings.Cut(string(status), "CapEff:"); ok {
		_, err = fmt.Sscanf(after, "%x", &held)
	}
	return err == nil && held&(1<<unix.CAP_NET_ADMIN|1<<unix.CAP_NET_BIND_SERVICE) != 0
}
