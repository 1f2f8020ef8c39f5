package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/daemon"
	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/systemd"
	"anyport/config"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [-c FILE]",
		Short: "Serve until told to stop",
		Long: `Serve the routes of the file until SIGTERM or SIGINT.

The first of these signals refuses new conns and lets the live ones end, each for up to
its route's drain_timeout; a second one stops at once. SIGHUP reads the file again: if
anything in it is wrong, the log says what, and the old one serves on. SIGUSR2 hands over
to a new process, as the command upgrade does. SIGTERM during an upgrade ends the new process
and stops; once that serves, it is passed on to it.

It needs CAP_BPF and CAP_NET_ADMIN, CAP_NET_BIND_SERVICE to answer UDP from ports below
1024, and CAP_NET_RAW where other processes hold such ports: root has them all. Once all
is set up it gives up what it does not need, on all threads and for good, and with
steering.user becomes that user. What it keeps, if it had it:

  CAP_NET_BIND_SERVICE  to answer UDP from ports below 1024
  CAP_NET_ADMIN         with manage_routes = true: a reload changes local routes
  CAP_BPF               before Linux 5.19: there the reload's map updates take it

Logs go to stderr. Nothing waits for its reader: lines that it does not take are counted.

Under systemd it says when it is ready, reloads and stops, with WatchdogSec= that its event
loops turn, and with FileDescriptorStoreMax= its sockets outlive it: after a crash clients wait
in their queues.`,
		Example: "  anyport run -c /etc/anyport/anyport.toml",
		Args:    noArgs,
	}
	path := fileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		before, err := handover.Predecessor()
		if err != nil {
			return err
		}
		if before != nil {
			defer func() {
				if err != nil {
					_ = before.Refuse(err) // fails where it has heard, or has gone
				}
			}()
		}
		c, err := loadToRun(*path, before != nil)
		if err != nil {
			return err
		}
		// Go ends a process whose write to fd 2 fails with EPIPE, also one that was started with SIGPIPE
		// ignored, unless it asks for the signal (os/signal, "SIGPIPE").
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT)
		defer signal.Stop(signals)
		return daemon.Run(cmd.Context(), daemon.Options{
			Config:  c,
			Version: version(),
			Log:     cmd.ErrOrStderr(),
			Signals: signals,
			Manager: systemd.FromEnvironment(),
			Stored:  systemd.Stored(),
			Drop:    true,

			Watchdog: systemd.Watchdog(),

			Predecessor: before,
		})
	}
	return cmd
}

// upgradeReadLimit is shorter than the process before waits, which so hears the reason.
const upgradeReadLimit = 20 * time.Second

// loadToRun reads the file. A process that takes the place of another one does not wait for a pipe
// or for a mount that hangs.
func loadToRun(path string, upgrade bool) (*config.Config, error) {
	if !upgrade {
		return config.Load(path)
	}
	text, err := slowfs.Do(slowfs.New(upgradeReadLimit), "read "+path, func() ([]byte, error) { return config.Read(path) })
	if err != nil {
		return nil, err
	}
	return config.Parse(path, text)
}
