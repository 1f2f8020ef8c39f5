package daemon

import (
	"context"
	"errors"
	"net/http"
	"os"
	"runtime"
	"syscall"

	"anyport/config"
)

// serve carries the traffic until it is told to stop and the last conn has ended.
func (d *daemon) serve(ctx context.Context) error {
	proxying, drain := context.WithCancel(context.Background())
	defer drain()
	served := make(chan error, 2)

	// The proxy is ended by drain, and then by its last conn.
	go func() { served <- d.proxy.Serve(proxying, d.steering.TCP(), d.steering.UDP()) }()

	watching, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	go d.steering.Watch(watching) // ended by unwatch

	if d.admin != nil {
		server := &http.Server{Handler: d.handler(), ReadHeaderTimeout: adminTimeout}
		defer server.Close()
		// The admin socket's server is ended by server.Close.
		go func() {
			if err := server.Serve(d.admin); !errors.Is(err, http.ErrServerClosed) {
				served <- err
			}
		}()
	}

	d.greet()
	if d.opt.Ready != nil {
		d.opt.Ready()
	}
	return d.control(ctx, drain, served)
}

// control decides on signals until the traffic has ended.
func (d *daemon) control(ctx context.Context, drain func(), served <-chan error) error {
	stop := ctx.Done()
	for {
		select {
		case err := <-served:
			d.log.Info("stopped")
			return err
		case <-stop:
			stop = nil
			d.stop(drain)
		case sig := <-d.opt.Signals:
			switch {
			case sig == syscall.SIGHUP:
				d.reloadLogged()
			case d.stopping.Load():
				// The process ends now, and the kernel closes what its loops hold.
				d.log.Warn("stopped at once by a second signal", "conns_cut", d.active())
				return nil
			default:
				d.log.Info("told to stop", "signal", sig.String())
				d.stop(drain)
			}
		}
	}
}

// stop closes the front door and lets those inside finish. UDP goes on being
// steered: the datagrams of live flows come through the same socket as new ones.
func (d *daemon) stop(drain func()) {
	if d.stopping.Swap(true) {
		return
	}
	if err := d.steering.Refuse(config.TCP); err != nil {
		d.log.Error("new conns cannot be refused in the kernel", "error", err)
	}
	d.log.Info("stopping: nothing new is taken, live conns may end", "conns", d.active(),
		"hint", "one more signal stops at once")
	drain()
}

// greet says what is served, and with what.
func (d *daemon) greet() {
	g := d.serving.Load()
	d.log.Info("serving", "version", d.opt.Version, "pid", os.Getpid(), "config", g.config.Path,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes(),
		"cores", runtime.GOMAXPROCS(0), "files", d.files, "max_flows", maxFlows(d.files),
		"admin", g.config.Admin.Socket)
}

// active is the number of live conns and flows.
func (d *daemon) active() int64 {
	var n int64
	for _, r := range d.proxy.Status() {
		n += r.ConnsActive
	}
	return n
}
