package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"golang.org/x/sync/errgroup"

	"anyport/cmd/anyport/internal/daemon"
	"anyport/config"
)

// Options say what to show, and where.
type Options struct {
	First, Last uint16 // the ports to sweep
	Version     string
	Out         io.Writer
}

// file is what the demo serves by, printed first so that it teaches the format.
const file = `[route.everything]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["127.0.0.1:7007"]       # all ports lead to this one
proxy_protocol = "v2"               # which tells the origin who asked for what
udp_idle_timeout = "500ms"          # the sweep makes a flow for each port
drain_timeout    = "1s"

[log]
level = "error"

[admin]
socket = ""
`

// Where the demo's parts are. All addresses but loopback are of ranges for documentation (RFC 5737, RFC 3849), so
// they collide with nothing that a reader knows.
var (
	originAddr = netip.MustParseAddrPort("127.0.0.1:7007")
	clients    = []netip.Prefix{
		netip.MustParsePrefix("198.51.100.7/32"),
		netip.MustParsePrefix("2001:db8:c::7/128"),
	}
	swept = []netip.Addr{
		netip.MustParseAddr("192.0.2.77"),
		netip.MustParseAddr("2001:db8:1::77"),
	}
)

// Run shows the demo. Called outside of its namespace, it does not return unless
// it fails: the process begins again inside.
func Run(ctx context.Context, opt Options) error {
	if !inside() {
		return enter()
	}
	if err := setUp(clients); err != nil {
		return fmt.Errorf("prepare the demo's network namespace: %w", err)
	}
	c, err := config.Parse("demo.toml", []byte(file))
	if err != nil {
		return err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts, ctx := errgroup.WithContext(ctx)
	origin, err := listen(originAddr)
	if err != nil {
		return err
	}
	parts.Go(func() error { return origin.serve(ctx) })

	ready := make(chan struct{})
	parts.Go(func() error {
		return daemon.Run(ctx, daemon.Options{
			Config:  c,
			Version: opt.Version,
			Log:     os.Stderr,
			Ready:   func() { close(ready) },
		})
	})
	parts.Go(func() error {
		defer stop()
		select {
		case <-ready:
			return show(ctx, opt)
		case <-ctx.Done():
			return nil // another part tells why
		}
	})
	return parts.Wait()
}

// show prints the file, tries a few ports, and sweeps all. A wrong answer is an error, so that the demo can serve
// as a test of a kernel.
func show(ctx context.Context, opt Options) error {
	fmt.Fprintf(opt.Out, "anyport %s serves this file, in a network namespace of its own:\n\n%s\n", opt.Version, indent(file))
	if err := try(ctx, opt.Out); err != nil {
		return err
	}
	wrong, err := sweepAll(ctx, opt)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; nothing is left behind")
	case err != nil:
		return err
	case wrong > 0:
		return fmt.Errorf("%s answers were wrong or missing", thousands(wrong))
	}
	fmt.Fprintln(opt.Out, "\nEvery answer came from the port that was asked, and the origin knew the client.")
	fmt.Fprintln(opt.Out, "\nNext: serve a /24 in ten minutes, with docs/tutorial/first-prefix.md.")
	return nil
}
