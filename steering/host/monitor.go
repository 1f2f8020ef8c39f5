package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"anyport/bpf/socketfilter"
)

// Monitor is a netlink socket on which the kernel reports changes to the local table, the
// interfaces and the rules. A report only says where to look: messages are lost when the queue
// is full, and the kernel does not report IPv4 routes that end with their interface
// (fib_flush). One goroutine waits, that of Steering.Watch; any may close it.
type Monitor struct{ file *os.File }

// monitored are the multicast groups, rtnetlink(7). An address that comes or goes shows as a
// route of the local table.
var monitored = []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE}

// OpenMonitor listens in the network namespace of this thread.
func OpenMonitor() (*Monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err == nil {
		err = socketfilter.Attach(fd, localTableOnly())
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	for _, group := range monitored {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
		}
	}
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return nil, fmt.Errorf("listen for changes of the routes: %w", err)
	}
	return &Monitor{os.NewFile(uintptr(fd), "rtnetlink")}, nil
}

// The layout of what the kernel sends: struct nlmsghdr, then struct rtmsg or ifinfomsg.
const (
	nlHeader, rtHeader, linkHeader = unix.SizeofNlMsghdr, unix.SizeofRtMsg, unix.SizeofIfInfomsg

	atType, atPort                          = 4, 12
	atDstBits, atTable, atProtocol, atRType = nlHeader + 1, nlHeader + 4, nlHeader + 5, nlHeader + 7
	atLink                                  = nlHeader + 4

	maxDatagram = 1 << 16
)

// localTableOnly is a filter in the kernel: a router's million routes of other tables wake
// nobody and fill no queue.
func localTableOnly() []unix.SockFilter {
	// BPF_ABS loads in network order; nlmsg_type is in the host's.
	word := func(t uint16) uint32 {
		return uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, t)))
	}
	const load, equal, result = unix.BPF_LD | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	return []unix.SockFilter{
		{Code: load | unix.BPF_H, K: atType},
		{Code: equal, K: word(unix.RTM_NEWROUTE), Jt: 1},
		{Code: equal, K: word(unix.RTM_DELROUTE), Jf: 2},
		{Code: load | unix.BPF_B, K: atTable},
		{Code: equal, K: unix.RT_TABLE_LOCAL, Jf: 1},
		{Code: result, K: maxDatagram},
		{Code: result, K: 0},
	}
}

// Changes are where something may have changed.
type Changes struct {
	routes map[netip.Prefix]uint32 // of the local table → netlink port of the process that changed them: see remover
	links  map[int]bool            // interfaces by index
	all    bool                    // anything
}

// Links reports whether interfaces or rules may have changed.
func (h *Changes) Links() bool { return h.all || len(h.links) > 0 }

// maxChanges bounds each kind; beyond it, everything is looked at.
const maxChanges = 4096

// A program that flushes a table deletes until it finds nothing more, so lost routes are put back
// once that is over: when nothing has changed for quietTime, and no later than maxQuietWait
// after the first change.
const quietTime, maxQuietWait = 50 * time.Millisecond, 250 * time.Millisecond

// Wait returns what has changed, as soon as something has, or at the time until, or at the end
// of ctx.
func (m *Monitor) Wait(ctx context.Context, until time.Time) (h Changes, err error) {
	h = Changes{routes: map[netip.Prefix]uint32{}, links: map[int]bool{}}
	buffer := make([]byte, maxDatagram)
	deadline, latest := until, time.Time{}
	for {
		if err := m.file.SetReadDeadline(deadline); err != nil {
			return h, err
		}
		if ctx.Err() != nil { // after the deadline is set: the end of ctx sets another
			return h, nil
		}
		n, err := m.file.Read(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return h, nil
		case errors.Is(err, unix.ENOBUFS):
			h.all = true
		case err != nil:
			return h, fmt.Errorf("listen for changes of the routes: %w", err)
		case !h.parse(buffer[:n]):
			continue
		}
		now := time.Now()
		if latest.IsZero() {
			latest = now.Add(maxQuietWait)
		}
		if deadline = now.Add(quietTime); deadline.After(latest) {
			deadline = latest
		}
	}
}

// EndWith ends a wait at the end of ctx, until stop is called.
func (m *Monitor) EndWith(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = m.file.SetReadDeadline(time.Unix(1, 0)) })
}

// Close ends a wait too, with an error.
func (m *Monitor) Close() error {
	if m == nil {
		return nil
	}
	return m.file.Close()
}

// parse notes the messages of a datagram, and reports whether one was of interest.
func (h *Changes) parse(datagram []byte) (any bool) {
	for len(datagram) >= nlHeader {
		size := int(binary.NativeEndian.Uint32(datagram))
		if size < nlHeader || size > len(datagram) {
			break
		}
		any = h.parseMessage(datagram[:size]) || any
		datagram = datagram[min(len(datagram), (size+3)&^3):]
	}
	h.all = h.all || len(h.routes) > maxChanges || len(h.links) > maxChanges
	if h.all {
		clear(h.routes)
		clear(h.links)
	}
	return any
}

// parseMessage reports whether m says anything new. Additions of own routes do not: they are
// answers to what this process did.
func (h *Changes) parseMessage(m []byte) bool {
	switch binary.NativeEndian.Uint16(m[atType:]) {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(m) < nlHeader+linkHeader {
			return false
		}
		h.links[int(binary.NativeEndian.Uint32(m[atLink:]))] = true
		return true
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		h.all = true
		return true
	case unix.RTM_NEWROUTE:
		if len(m) > atRType && m[atProtocol] == RouteProtocol && m[atRType] == unix.RTN_LOCAL {
			return false // ours
		}
		return h.parseRoute(m)
	case unix.RTM_DELROUTE:
		return h.parseRoute(m)
	}
	return false
}

// parseRoute notes the prefix, and the netlink port of the process that has changed it.
func (h *Changes) parseRoute(m []byte) bool {
	if len(m) < nlHeader+rtHeader {
		return false
	}
	attributes, _ := nl.ParseRouteAttr(m[nlHeader+rtHeader:])
	for _, a := range attributes {
		if a.Attr.Type != unix.RTA_DST {
			continue
		}
		if addr, ok := netip.AddrFromSlice(a.Value); ok {
			h.routes[netip.PrefixFrom(addr, int(m[atDstBits]))] = binary.NativeEndian.Uint32(m[atPort:])
			return true
		}
	}
	h.all = true // a default route has no RTA_DST
	return true
}
