package daemon

import (
	"context"
	"iter"
	"os"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/api"
	"anyport/config"
	"anyport/proxy/route"
)

// service is the daemon as the admin API asks it. Orders go to the goroutine that decides; the rest
// is read on the goroutine of the request.
type service struct{ d *daemon }

var _ api.Service = service{}

// Status joins what the kernel and the proxy report.
func (s service) Status() admin.Status { return s.d.status() }

// About is quick however many routes there are.
func (s service) About() admin.About {
	about := admin.About{Version: s.d.opt.Version, PID: os.Getpid(), Path: s.d.serving.Load().config.Path, Peers: s.d.peerStatus()}
	id, err := s.d.steering.ProgramID()
	if err != nil {
		s.d.log.Debug("cannot tell the id of the steering program", "error", err)
	}
	about.ProgramID = id
	return about
}

// Admin is that of the config in service.
func (s service) Admin() config.Admin { return s.d.serving.Load().config.Admin }

// Drift compares the tables in the kernel with the config in service.
func (s service) Drift() (admin.Drift, error) {
	lines, err := s.d.steering.Drift()
	return admin.Drift{Lines: append([]string{}, lines...)}, err // [] in JSON, never null
}

// Conns refuses a route that is not in service.
func (s service) Conns(name string) (iter.Seq[route.Conn], error) {
	return s.d.conns(name), s.d.checkRoute(name)
}

// Left asks what those processes have saved last.
func (s service) Left() []admin.Left { return s.d.left() }

// Explain answers from the table in service, the kernel and the file on disk.
func (s service) Explain(q admin.Question) (admin.Explained, error) { return s.d.explain(q), nil }

// Drain returns the state after the order, or with wait after the last conn.
func (s service) Drain(ctx context.Context, order admin.DrainOrder) (admin.Drained, error) {
	err := s.d.mayDrain(ctx, order)
	if err == nil {
		err = s.d.decide(ctx, func() error {
			if order.Wait {
				if err := s.d.checkOneProcess(); err != nil { // of which the other one has conns, too
					return err
				}
			}
			return s.d.drain(order.Route, !order.Undo)
		})
	}
	if err == nil && order.Wait {
		err = s.d.awaitDrained(ctx, order.Route)
	}
	if err != nil {
		return admin.Drained{}, err
	}
	return s.d.drainState(order.Route), nil
}

// Origin returns the status of the origin after the order.
func (s service) Origin(ctx context.Context, order admin.OriginOrder) (status admin.OriginStatus, err error) {
	err = s.d.decide(ctx, func() (err error) {
		status, err = s.d.orderOrigin(order)
		return err
	})
	return status, err
}

// Reload waits for the reload, and for one that is under way. It waits even if ctx ends: the reload
// cannot be taken back.
func (s service) Reload(ctx context.Context, dryRun bool, preloaded map[string]int) (admin.Reloaded, error) {
	if dryRun { // changes nothing, and so waits for nobody
		return s.d.dryRun(preloaded)
	}
	type outcome struct {
		reloaded admin.Reloaded
		err      error
	}
	done := make(chan outcome, 1)
	err := s.d.decide(ctx, func() error {
		s.d.askReload(func(reloaded admin.Reloaded, err error) { done <- outcome{reloaded, err} }, preloaded)
		return nil
	})
	if err != nil {
		return admin.Reloaded{}, err
	}
	o := <-done
	return o.reloaded, o.err
}

// Share waits for the reload as Reload does.
func (s service) Share(ctx context.Context, percent float64) (admin.Reloaded, error) {
	var reloaded admin.Reloaded
	done := make(chan error, 1)
	err := s.d.decide(ctx, func() error {
		return s.d.askTrial(percent, func(r admin.Reloaded, err error) {
			reloaded = r
			done <- err
		})
	})
	if err != nil {
		return admin.Reloaded{}, err
	}
	return reloaded, <-done
}

// EndShare waits until one of the two tables serves all clients.
func (s service) EndShare(ctx context.Context, all bool) (r admin.Reloaded, err error) {
	err = s.d.decide(ctx, func() (err error) {
		r, err = s.d.endTrial(all)
		return err
	})
	return r, err
}

// Upgrade waits until the new process serves, or until it is clear that it will not.
func (s service) Upgrade(ctx context.Context, order api.UpgradeOrder) (u admin.Upgraded, err error) {
	if order.End != "" {
		return s.awaitRun(ctx, func(report func(admin.Upgraded, error)) error {
			return s.d.endShare(order.End == admin.TrialAll, order, report)
		})
	}
	binary, err := s.d.binary(order)
	if err != nil {
		return u, err
	}
	return s.awaitRun(ctx, func(report func(admin.Upgraded, error)) error {
		if order.Share > 0 {
			return s.d.beginShare(binary, order, report)
		}
		return s.d.beginUpgrade(binary, order.Files, report)
	})
}

// awaitRun waits for the outcome of what begin starts.
func (s service) awaitRun(ctx context.Context, begin func(report func(admin.Upgraded, error)) error) (u admin.Upgraded, err error) {
	done := make(chan error, 1)
	err = s.d.decide(ctx, func() error {
		return begin(func(upgraded admin.Upgraded, err error) {
			u = upgraded
			done <- err
		})
	})
	if err != nil {
		return u, err
	}
	return u, <-done
}
