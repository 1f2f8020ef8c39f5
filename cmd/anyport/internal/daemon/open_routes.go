package daemon

import (
	"maps"

	"anyport/cmd/anyport/internal/trace"
	"anyport/config"
	"anyport/proxy"
	"anyport/steering"
)

// openRoutes puts the routes into service in the proxy first: the kernel steers from the moment that
// the steering is open.
func (d *daemon) openRoutes() error {
	g, err := d.firstGeneration()
	if err != nil {
		return err
	}
	d.openRaw()
	if err := d.openAnnounce(); err != nil {
		return err
	}
	if err := d.openProxy(g.config); err != nil {
		return err
	}
	if err := d.steerToProxy(g); err != nil {
		return err
	}
	if err := d.divideFiles(); err != nil {
		return err
	}
	d.serving.Store(g)
	if err := d.openHours(); err != nil {
		return err
	}
	return d.inheritDrains()
}

// firstGeneration is that of the config that the process begins with.
func (d *daemon) firstGeneration() (*generation, error) {
	listeners, err := d.otherListeners()
	if err != nil {
		return nil, err
	}
	g, err := prepare(d.opt.Config, 1, listeners)
	if err != nil {
		return nil, err
	}
	return g, d.readKeyFiles(g)
}

// openProxy makes the proxy, which forwards nothing yet, and has the names of its origins resolved.
func (d *daemon) openProxy(c *config.Config) error {
	d.proxy = proxy.New(proxy.Options{
		Workers:  c.Listen.Workers,
		MaxFlows: d.maxFlows(),
		Raw:      d.raw,
		Mirror:   d.noteRefusal,
		Knock:    d.ring,
		Log:      d.log,
		ReadFile: d.readSystemFile,

		HealthChanged: d.noteHealth,
	})
	d.proxy.SetRecording(d.recording(c.Log))
	return d.resolveNames(c)
}

// steerToProxy has the proxy serve g, and then the kernel steer by it.
func (d *daemon) steerToProxy(g *generation) (err error) {
	trial := d.proxy.Try(g.table, g.config.Routes)
	if d.before != nil {
		d.proxy.RestoreOrigins(d.before.Origins)
	}
	if d.steering, err = d.openSteering(g); err != nil {
		return err
	}
	d.closers = append(d.closers, d.closeSteering, d.withdrawAnnounced) // the routes go first
	d.openFastPath()
	if kernel, err := d.steering.Fleet(); err == nil {
		d.proxy.UseFleet(kernel)
	}
	if d.before == nil { // else that one speaks with the peers: see awaitGo
		d.usePeers(g)
	}
	d.traces = trace.NewHub(d.steering, d.proxy, d.log)
	if d.before == nil { // else when that one counts no more new conns: see awaitGo
		d.openSaved()
	}
	trial.Keep(d.steering.Table())
	return nil
}

// openSteering goes on with the steering of the process before, or with the sockets that the service
// manager kept of one that has ended, in whose queues clients wait. If these cannot be used, it makes
// new ones.
func (d *daemon) openSteering(g *generation) (*steering.Steering, error) {
	if d.before != nil {
		d.inherited = true
		return d.inheritSteering(g)
	}
	if len(d.stored) == 0 {
		return steering.Open(g.config, g.table, d.log)
	}
	s, err := steering.Inherit(g.config, g.table, maps.Clone(d.stored), d.log)
	if err == nil {
		d.inherited = true
		d.log.Info("serving on the sockets that the service manager kept", "kept", len(d.stored))
		return s, nil
	}
	d.log.Warn("cannot reuse the stored sockets: queued clients are refused", "error", err)
	for name := range d.stored {
		d.forgetFD(name)
	}
	return steering.Open(g.config, g.table, d.log)
}
