package daemon

import (
	"context"
	"net/netip"
	"time"

	"anyport/config"
)

// closedFor is how long what an origin has refused is refused to clients, before one of
// them is let through to try again.
const closedFor = 3 * time.Second

// closedService is a dst over a protocol that its origin has refused.
type closedService struct {
	protocol config.Protocol
	dst      netip.AddrPort
}

// refusal leaves word of a service whose origin has refused. The proxy's loops must not
// wait for the steering, which may be busy with a reload; where too many have left word,
// the next client of the service does so again.
func (d *daemon) refusal(protocol config.Protocol, dst netip.AddrPort) {
	select {
	case d.refusals <- closedService{protocol, dst}:
	default:
	}
}

// mirror has the kernel refuse what origins have refused, until ctx is done.
func (d *daemon) mirror(ctx context.Context) {
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return
		case s := <-d.refusals:
			err := d.steering.Closed(s.protocol, s.dst, closedFor)
			if err != nil && !failed { // one line, not one a client
				d.log.Error("what origins refuse cannot be refused in the kernel", "error", err)
			}
			failed = err != nil
		}
	}
}
