package fastpath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// updateInterval is how late a change is noticed that the kernel reports to nobody: filters of tc, TCX
// programs, tables of iptables-legacy.
const updateInterval = 5 * time.Second

// Whoever changes rules or routes makes many changes, and routers never stop. So after each reaction there
// is a pause, which is longer where the reaction took long.
const leastPause, pauseFactor = 100 * time.Millisecond, 20

// events are netlink sockets on which the kernel reports changes.
type events struct{ rules, policies, routes *os.File }

// Multicast groups: of linux/netfilter/nfnetlink.h and linux/xfrm.h.
const nfnlgrpNFTables, xfrmnlgrpPolicy = 7, 4

func (e *events) open() (err error) {
	e.routes, err = subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return err
	}
	e.rules, _ = subscribe(unix.NETLINK_NETFILTER, nfnlgrpNFTables) // without a packet filter there is nothing to hear
	e.policies, _ = subscribe(unix.NETLINK_XFRM, xfrmnlgrpPolicy)
	return nil
}

func subscribe(protocol int, groups ...int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, group := range groups {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen for changes of the network: %w", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

func (e *events) close() {
	for _, f := range []*os.File{e.rules, e.policies, e.routes} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Watch keeps the program attached to what devices there are, and ends the forwarding of all flows when
// rules or routes have changed that they depend on, until ctx ends or p is closed.
func (p *Path) Watch(ctx context.Context) {
	if p == nil {
		return
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { hear(ctx, p.events.rules, p.checkRules) })
	all.Go(func() { hear(ctx, p.events.policies, p.checkRules) })
	all.Go(func() { hear(ctx, p.events.routes, p.checkRoutes) })
	tick := time.NewTicker(updateInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.update()
		}
	}
}

func (p *Path) checkRules() {
	p.devices.rulesChanged.Store(true)
	p.update()
}

// update logs each failure once: the next success or another failure ends it.
func (p *Path) update() {
	text := ""
	if err := p.Update(); err != nil {
		text = err.Error()
	}
	if last := p.failure.Swap(&text); text != "" && (last == nil || *last != text) {
		p.log.Warn("cannot watch the devices of the fast path", "error", text)
	}
}

// checkRoutes ends the forwarding if a flow may have another way now. Next hops of a device need nothing:
// the kernel looks them up for each datagram.
func (p *Path) checkRoutes() {
	p.update()
	if !p.ways.changed(*p.attached.Load()) {
		return
	}
	p.log.Debug("routes of the fast path have changed")
	if err := p.Raise(); err != nil {
		p.log.Warn("cannot end the forwarding over old routes", "error", err)
	}
}

// hear calls react after changes, until the socket is closed or ctx ends. It reads no message: some may be
// lost anyway.
func hear(ctx context.Context, socket *os.File, react func()) {
	if socket == nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) })()
	buffer := make([]byte, 1<<16)
	for {
		if _, err := socket.Read(buffer); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		drain(socket, buffer)
		begun := time.Now()
		react()
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(leastPause, pauseFactor*time.Since(begun))):
		}
	}
}

// drain throws away the messages that have come until now.
func drain(socket *os.File, buffer []byte) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		for range 1 << 12 {
			if _, _, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT); err != nil {
				break
			}
		}
		return true
	})
}
