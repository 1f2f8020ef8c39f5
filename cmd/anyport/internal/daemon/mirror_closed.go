package daemon

import (
	"context"
	"net/netip"
	"time"

	"anyport/config"
)

// refuseFor is how long clients are refused what an origin has refused, before one of them is let
// through to try again.
const refuseFor = 3 * time.Second

// closedService is a dst over a protocol that its origin has refused. Values go by the channel refusals, at most
// 1,024 of them.
type closedService struct {
	protocol config.Protocol
	dst      netip.AddrPort
}

// noteRefusal queues a service whose origin has refused. Event loops call it, which must not wait for
// the steering: that may be busy with a reload. If the queue is full, the note is lost, and the next
// client of the service causes another one. While two tables serve, what the origin of one refuses, that of the other
// may take: then clients are not refused in the kernel.
func (d *daemon) noteRefusal(protocol config.Protocol, dst netip.AddrPort) {
	if d.trial.Load() != nil {
		return
	}
	select {
	case d.refusals <- closedService{protocol, dst}:
	default:
	}
}

// refuseMirrored makes the kernel refuse what origins have refused, until ctx is done. A failure is
// logged once until one succeeds.
func (d *daemon) refuseMirrored(ctx context.Context) {
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return
		case s := <-d.refusals:
			err := d.steering.MarkClosed(s.protocol, s.dst, refuseFor)
			if err != nil && !failed {
				d.log.Error("cannot refuse in the kernel what origins refuse", "error", err)
			}
			failed = err != nil
		}
	}
}
