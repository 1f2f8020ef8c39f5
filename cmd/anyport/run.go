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

// newRun wires the daemon to this process: its signals, its service manager, and the process that it
// replaces in an upgrade.
func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [-c FILE] [--shadow | --confirm TIME]",
		Short: "Serve until a signal to stop",
		Long: `Serve the routes of the file until SIGTERM or SIGINT.

The first of these signals refuses new conns and lets live ones end, each for up to its
route's drain_timeout; a second one stops at once. SIGHUP reads the file again: if
anything in it is wrong, the log says what, and the old config serves on. SIGUSR2 hands
over to a new process, like the command upgrade. SIGTERM during an upgrade ends the new
process and stops; if the new process serves already, it gets the signal.

It needs CAP_BPF and CAP_NET_ADMIN; CAP_NET_BIND_SERVICE to answer UDP from ports below
1024; and CAP_NET_RAW if other processes hold such ports. Root has all of them. Once
everything is set up it drops what it does not need, on all threads and irrevocably, and
with steering.user it becomes that user. It keeps these, if it had them:

  CAP_NET_BIND_SERVICE  to answer UDP from ports below 1024
  CAP_NET_ADMIN         with manage_routes = true: a reload changes local routes
  CAP_BPF               before Linux 5.19: the map updates of a reload need it there

With --shadow it only rehearses: it steers nothing, adds no route, and counts what it would
do with the traffic that another proxy handles now. The status shows the differences; so
does stdout at the end. It needs CAP_NET_RAW.

With --confirm TIME it gives all prefixes back when the time is over, and ends with exit
status 3, unless "anyport confirm" comes before. Until the next start nothing is pinned
then, so that a crash gives them back, too.

If TPROXY rules are there whose new conns would come to anyport at once, because a socket
match precedes them, it asks for one of these flags; --confirm 0 starts anyway.

Logs go to stderr. If nobody reads them, anyport drops lines and counts them; it never
waits.

Under systemd it reports when it is ready, reloads and stops. With WatchdogSec= it reports
that its event loops turn. With FileDescriptorStoreMax= its sockets outlive it: after a
crash clients wait in their queues.`,
		Example: `  anyport run -c /etc/anyport/anyport.toml
  anyport run --shadow -c anyport.toml          # rehearse beside another proxy
  anyport run --confirm 60s -c anyport.toml     # and then: anyport confirm`,
		Args: noArgs,
	}
	path := fileFlag(cmd)
	rehearse := cmd.Flags().Bool("shadow", false, "steer nothing, and count what would be different")
	confirm := cmd.Flags().Duration("confirm", 0, "give all back after this `TIME` unless \"anyport confirm\" comes; 0: never, and do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		switch {
		case *confirm < 0:
			return usagef("--confirm %v: write how long to wait, such as 60s, or 0", *confirm)
		case *rehearse && cmd.Flags().Changed("confirm"):
			return usagef("--shadow and --confirm: give one of them; a rehearsal has nothing to give back")
		}
		before, err := handover.Predecessor()
		if err != nil {
			return err
		}
		if before != nil {
			defer func() {
				if err != nil {
					_ = before.Refuse(err) // fails if it knows, or has ended
				}
			}()
		}
		c, err := loadToRun(*path, before != nil)
		if err != nil {
			return err
		}
		// Go ends a process when its write to fd 2 fails with EPIPE, even if it was started with SIGPIPE
		// ignored, unless the process asks for the signal (os/signal, "SIGPIPE").
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
		defer signal.Stop(signals)
		if *rehearse {
			return runShadow(cmd, c, signals)
		}
		stored := systemd.Stored()
		if before == nil && len(stored) == 0 && !cmd.Flags().Changed("confirm") {
			if err := checkTakeover(cmd, c); err != nil {
				return err
			}
		}
		return daemon.Run(cmd.Context(), daemon.Options{
			Config:  c,
			Version: version(),
			Log:     cmd.ErrOrStderr(),
			Signals: signals,
			Manager: systemd.FromEnvironment(),
			Stored:  stored,
			Confirm: *confirm,
			Drop:    true,

			AfterSignal: logTakeover,

			Watchdog: systemd.Watchdog(),

			Predecessor: before,
		})
	}
	return cmd
}

// upgradeReadTimeout is shorter than upgrade.Timeout, so that the process before gets the reason.
const upgradeReadTimeout = 20 * time.Second

// loadToRun reads the file. The new process of an upgrade does not wait for a pipe or for a mount that
// hangs: the old one waits for it.
func loadToRun(path string, upgrade bool) (*config.Config, error) {
	if !upgrade {
		return config.Load(path)
	}
	text, err := slowfs.Do(slowfs.New(upgradeReadTimeout), "read "+path, func() ([]byte, error) { return config.Read(path) })
	if err != nil {
		return nil, err
	}
	return config.Parse(path, text)
}
