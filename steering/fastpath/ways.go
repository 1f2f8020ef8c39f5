package fastpath

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
	"anyport/steering/program"
)

// ways asks the kernel through which device datagrams leave, and remembers the answers until the
// generation changes: flows share origins, and often clients. Any goroutine may use it.
type ways struct {
	handle *netlink.Handle // for the namespace that it was opened in; its requests wait for each other
	get    routeGet        // its method, but in tests
	// The kernel does not say of the way to an IPv6 address that it is one with an encapsulation: Debian's 5.10
	// does not, 6.1 does.
	hidesEncap bool

	mu         sync.Mutex
	checks     uint64 // counts calls of changed
	generation uint32
	known      map[addresses]way
}

type routeGet func(net.IP, *netlink.RouteGetOptions) ([]netlink.Route, error)

// addresses are what the kernel chooses a route by.
type addresses struct{ src, dst netip.Addr }

// maxWays bounds what is remembered: 5 MB.
const maxWays = 1 << 16

func openWays() (*ways, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &ways{handle: handle, get: handle.RouteGetWithOptions, hidesEncap: !program.Since(6, 1), known: map[addresses]way{}}, nil
}

// of returns the way from one address to another. devices has the MTU of each device that the
// program is attached to.
func (w *ways) of(src, dst netip.Addr, generation uint32, devices map[int]device) (way, error) {
	at := addresses{src, dst}
	for {
		found, checks, ok := w.find(at, generation)
		if ok {
			return found, nil
		}
		found, err := w.ask(at, devices)
		if err != nil || w.note(at, found, generation, checks) {
			return found, err
		}
	}
}

// find returns what is known in a generation, and how often that was checked.
func (w *ways) find(at addresses, generation uint32) (found way, checks uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.generation != generation || len(w.known) >= maxWays {
		w.generation = generation
		clear(w.known)
	}
	found, ok = w.known[at]
	return found, w.checks, ok
}

// note notes an answer. It is false if there was a check since the question, which did not see the answer: that
// may be of before a change.
func (w *ways) note(at addresses, found way, generation uint32, checks uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.checks == checks && w.generation == generation {
		w.known[at] = found
	}
	return w.checks == checks
}

// ask asks the kernel. The route's MTU may be less than the device's, and includes what ICMP errors
// have said.
func (w *ways) ask(at addresses, devices map[int]device) (way, error) {
	routes, err := w.get(at.dst.AsSlice(), &netlink.RouteGetOptions{SrcAddr: at.src.AsSlice()})
	if err != nil || len(routes) == 0 || routes[0].Type != unix.RTN_UNICAST {
		return way{}, fastflow.Unrouted
	}
	r := routes[0]
	d, ok := devices[r.LinkIndex]
	if !ok || r.Encap != nil || w.hidesEncap && at.dst.Is6() && w.encapsulates(at.dst) { // the program sends packets as they are
		return way{}, fastflow.Device
	}
	mtu := d.mtu
	if r.MTU > 0 {
		mtu = min(mtu, r.MTU)
	}
	return way{r.LinkIndex, uint16(min(mtu, 1<<16-1))}, nil
}

// encapsulates reports whether the entry of the routing table that leads to an address has an encapsulation, or
// may have one: package netlink does not say it of several next hops.
func (w *ways) encapsulates(dst netip.Addr) bool {
	entries, err := w.get(dst.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	return err != nil || slices.ContainsFunc(entries, func(r netlink.Route) bool {
		return r.Encap != nil || len(r.MultiPath) > 0
	})
}

// maxAsked bounds how many ways are asked about again when routes change.
const maxAsked = 1 << 12

// changed reports whether the kernel now answers differently about what was asked before, or may.
func (w *ways) changed(devices map[int]device) bool {
	w.mu.Lock()
	w.checks++
	known := maps.Clone(w.known)
	w.mu.Unlock()
	if len(known) > maxAsked {
		w.forget()
		return true
	}
	for at, before := range known {
		if now, err := w.ask(at, devices); err != nil || now != before {
			w.forget()
			return true
		}
	}
	return false
}

func (w *ways) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.known)
}

func (w *ways) close() {
	if w != nil {
		w.handle.Close()
	}
}
