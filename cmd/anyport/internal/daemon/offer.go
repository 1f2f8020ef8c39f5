package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/udp"
	"anyport/steering"
)

// upgradePatience bounds each of the two parts of a hand-over: until the new process is
// prepared, and while nothing is served.
const upgradePatience = 30 * time.Second

// offer is what a process tells the one that shall take its place.
type offer struct {
	FDs       []string            `json:"fds"`       // names, in the order of the descriptors
	Stored    []string            `json:"stored"`    // names of those that the service manager keeps
	Listeners []steering.Listener `json:"listeners"` // of other processes: only this one can tell them from its own
	Draining  []string            `json:"draining"`  // routes that take no new conns: a program of another build cannot tell
	Access    string              `json:"access"`    // log.access, whose file is among the descriptors if it is one
}

// Names of file descriptors in an offer. All others are the steering's.
const (
	fdAdmin   = "admin"
	fdAccess  = "access"
	fdRawIPv4 = "raw/4"
	fdRawIPv6 = "raw/6"
)

// offered are the file descriptors of an offer by name. They stay the daemon's.
func (d *daemon) offered() (map[string]int, error) {
	fds := map[string]int{}
	maps.Copy(fds, d.steering.Handover())
	if fds[fdRawIPv4], fds[fdRawIPv6] = d.raw.FDs(); fds[fdRawIPv4] < 0 {
		delete(fds, fdRawIPv4)
	}
	if fds[fdRawIPv6] < 0 {
		delete(fds, fdRawIPv6)
	}
	if d.admin == nil {
		return fds, nil
	}
	fd, err := duplicate(d.admin)
	fds[fdAdmin] = fd
	return fds, err
}

// duplicate is for a file or listener that others go on to use: File and Fd would make it block.
func duplicate(l syscall.Conn) (fd int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(controlErr, err)
}

// sendOffer gives copies of all that can be had while this process serves, and of a spare.
func (d *daemon) sendOffer(to *handover.Conn, spare steering.Inheritance) error {
	if d.access == nil {
		return d.offer(to, spare, nil)
	}
	return d.access.Share(func(access *os.File) error { return d.offer(to, spare, access) })
}

// offer is sendOffer with the file of the access log, nil where it has none.
func (d *daemon) offer(to *handover.Conn, spare steering.Inheritance, access *os.File) error {
	listeners, err := steering.OtherListeners()
	if err != nil {
		return err
	}
	named, err := d.offered()
	if err != nil {
		return err
	}
	if fd, ok := named[fdAdmin]; ok {
		defer unix.Close(fd)
	}
	maps.Copy(named, spare)
	if access != nil {
		fd, err := duplicate(access)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		named[fdAccess] = fd
	}
	o := offer{
		FDs: slices.Sorted(maps.Keys(named)), Stored: slices.Sorted(maps.Keys(d.stored)),
		Listeners: listeners, Draining: d.drainingRoutes(), Access: d.opt.Config.Log.Access,
	}
	var fds []int
	for _, name := range o.FDs {
		fds = append(fds, named[name])
	}
	return to.Send(handover.Offer, o, fds...)
}

// estate is what a process has been given by the one before.
type estate struct {
	from      *handover.Conn
	fds       map[string]int // by name, as far as nobody has taken them
	stored    []string
	listeners []steering.Listener
	draining  []string
	access    string // log.access of the process before
	flows     udp.Arrivals
}

// receiveOffer waits for the offer. What is taken of it is still the other's too.
func receiveOffer(from *handover.Conn) (*estate, error) {
	if err := from.Patience(upgradePatience); err != nil {
		return nil, err
	}
	m, err := from.Expect(handover.Offer)
	if err != nil {
		return nil, fmt.Errorf("the process to be replaced: %w", err)
	}
	var o offer
	if err := m.Decode(&o); err != nil || len(o.FDs) != len(m.FDs) {
		m.CloseFDs()
		return nil, errors.Join(err, fmt.Errorf("the process to be replaced gave %d file descriptors and named %d", len(m.FDs), len(o.FDs)))
	}
	e := &estate{from: from, fds: map[string]int{}, stored: o.Stored, listeners: o.Listeners, draining: o.Draining, access: o.Access}
	for i, name := range o.FDs {
		e.fds[name] = m.FDs[i]
	}
	return e, nil
}

// take returns the file descriptor of that name, which then is the caller's; -1 where
// there is none.
func (e *estate) take(name string) int {
	fd, ok := e.fds[name]
	if !ok {
		return -1
	}
	delete(e.fds, name)
	return fd
}

// takeAdmin returns the listener of the admin socket, if there is one, which must be
// that of path. Its Close does not remove the socket.
func (e *estate) takeAdmin(path string) (*net.UnixListener, error) {
	fd := e.take(fdAdmin)
	if fd < 0 {
		return nil, nil
	}
	file := os.NewFile(uintptr(fd), fdAdmin)
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	if old := listener.Addr().String(); old != path {
		listener.Close()
		return nil, fmt.Errorf("admin.socket: %q cannot become %q in an upgrade: restart it, or put the old value back", old, path)
	}
	unixListener, ok := listener.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the process to be replaced gave a listener on %v as its admin socket", listener.Addr()), listener.Close())
	}
	return unixListener, nil
}

// close closes what nobody has taken.
func (e *estate) close() error {
	for _, fd := range e.fds {
		unix.Close(fd)
	}
	e.flows.Close()
	e.fds = nil
	return nil
}
