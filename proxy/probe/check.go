package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/health"
)

// Check is one check of one address. Two routes with equal Checks share the results.
type Check struct {
	Rules  config.Health
	To     netip.AddrPort
	Source netip.Addr           // to dial from; the zero Addr: the kernel chooses
	Header config.ProxyProtocol // that the origin demands
}

// Of is the check of an origin of r; not ok if the route has none, or the origin has no address yet.
func Of(r *config.Route, o config.Origin) (c Check, ok bool) {
	if r.Health == nil || !o.Addr.IsValid() {
		return c, false
	}
	port := uint16(r.Health.Port)
	if port == 0 {
		port = o.Ports.First
	}
	c = Check{Rules: *r.Health, To: netip.AddrPortFrom(o.Addr, port), Header: r.Health.Header}
	for _, source := range r.Source {
		if source.Is4() == o.Addr.Is4() {
			c.Source = source
			break
		}
	}
	if c.Header == config.HeaderOfRoute {
		c.Header = headerOf(r, c.Rules.Type)
	}
	return c, port != 0
}

// headerOf is the header that an origin of r demands over the protocol of a check. A route says nothing
// about the protocol that it does not take.
func headerOf(r *config.Route, t config.CheckType) config.ProxyProtocol {
	protocol := config.TCP
	if t == config.CheckUDP {
		protocol = config.UDP
	}
	if !r.Takes(protocol) {
		return config.ProxyOff
	}
	return r.ProxyProtocol
}

// timeout bounds a check, so that the next one can begin when it is due.
func (c Check) timeout() time.Duration { return min(c.Rules.Timeout, c.Rules.Interval) }

// Do makes the check. It holds one file descriptor until it returns.
func (c Check) Do(ctx context.Context) health.Result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	err := c.talk(ctx)
	r := health.Result{At: time.Now(), Took: time.Since(began)}
	if err != nil {
		r.Failed = c.reason(err)
	}
	return r
}

// reason is why a check has failed, without the addresses that Go's errors repeat.
func (c Check) reason(err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("no answer within %v", c.timeout())
	case errors.As(err, &errno):
		return errno.Error()
	}
	return err.Error()
}

// talk connects, and says what the type of the check says.
func (c Check) talk(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // as in HAProxy: a TIME_WAIT for each check would take the host's ports
	}
	switch c.Rules.Type {
	case config.CheckUDP:
		return c.askDatagram(conn)
	case config.CheckHTTP:
		return c.askHTTP(conn)
	case config.CheckTLS:
		return c.handshake(ctx, conn)
	}
	return c.askStream(conn)
}

// dial connects to the origin from the route's source.
func (c Check) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1, Control: bindNoPort}
	network := "tcp"
	if c.Rules.Type == config.CheckUDP {
		network = "udp"
	}
	if c.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Source, 0))
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.Source, 0))
		}
	}
	conn, err := d.DialContext(ctx, network, c.To.String())
	if err != nil {
		return nil, err
	}
	if conn.LocalAddr().String() == conn.RemoteAddr().String() { // nobody listens, and the kernel chose this very port
		conn.Close()
		return nil, unix.ECONNREFUSED
	}
	return conn, nil
}

// bindNoPort has bind(2) choose no port, so that connect(2) may use each one once per origin.
func bindNoPort(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
