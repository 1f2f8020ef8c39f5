package daemon

import (
	"errors"
	"fmt"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/health"
)

// orderOrigin forces a state on an origin, or sets its weight. The kernel has what follows of it when
// the order is answered.
func (d *daemon) orderOrigin(order admin.OriginOrder) (admin.OriginStatus, error) {
	if err := errors.Join(d.checkChangeable(), d.checkOneProcess()); err != nil {
		return admin.OriginStatus{}, err
	}
	if err := d.changeOrigin(order); err != nil {
		return admin.OriginStatus{}, err
	}
	d.applyHealth()
	d.save(false)
	status, err := d.proxy.OriginStatus(order.Route, order.Address)
	return admin.OriginStatus(status), err
}

func (d *daemon) changeOrigin(order admin.OriginOrder) error {
	if order.State == "" {
		return d.proxy.SetOriginWeight(order.Route, order.Address, order.Weight)
	}
	forced, ok := health.ParseForced(order.State)
	if !ok {
		return fmt.Errorf("%q is not a state: it can be drain, down or ready", order.State)
	}
	return d.proxy.ForceOrigin(order.Route, order.Address, forced)
}
