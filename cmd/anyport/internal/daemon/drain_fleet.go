package daemon

import (
	"context"
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// fleetAnswerTime is how long an order to drain or to stop waits for the source of the fleet.
const fleetAnswerTime = 2 * time.Second

// drainsAll reports whether each route in service is to be drained.
func (d *daemon) drainsAll() bool {
	drains := d.drains.Load()
	if !drains.all && len(drains.routes) == 0 && len(d.routesInService()) > 0 {
		return false // which needs no names of very many routes
	}
	return drains.hasEach(d.routeNames())
}

// mayDrain refuses an order that leaves too few hosts of the fleet which take new conns for the announced prefixes. It
// asks the source, so it must not run on the goroutine that decides.
func (d *daemon) mayDrain(ctx context.Context, order admin.DrainOrder) error {
	if order.Undo || d.drainsAll() || !d.drains.Load().with(order.Route, true).hasEach(d.routeNames()) {
		return nil
	}
	if !d.announce.Status(time.Now()).Best().Stands() {
		return nil
	}
	why := d.neededByFleet(ctx)
	if why == "" {
		return nil
	}
	if order.Force {
		d.log.Warn("draining, though the fleet may need this host", "because", why)
		return nil
	}
	return fmt.Errorf("%s: drain other routes or hosts, or use --force", why)
}

// neededByFleet says why this host, which announces prefixes, may have to go on; "" if it need not. The others count
// without this host from then on.
func (d *daemon) neededByFleet(ctx context.Context) string {
	c := d.serving.Load().config.Announce
	if d.fleetGuard == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, fleetAnswerTime)
	defer cancel()
	switch ok, err := d.fleetGuard.MayWithdraw(ctx); {
	case err != nil:
		return "whether other hosts announce is not known: " + err.Error()
	case !ok:
		return fmt.Sprintf("fewer than %d other hosts of the fleet announce and are ready (announce.min_hosts)", c.MinHosts)
	}
	return ""
}

// warnLastHost logs that a stop, which nothing can refuse, takes a host that the fleet needs.
func (d *daemon) warnLastHost() {
	if why := d.neededByFleet(context.Background()); why != "" {
		d.log.Warn("stopping, though the fleet may need this host", "because", why)
	}
}
