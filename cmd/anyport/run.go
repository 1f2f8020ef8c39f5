package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/crashloop"
	"anyport/cmd/anyport/internal/daemon"
	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/stderr"
	"anyport/cmd/anyport/internal/systemd"
	"anyport/config"
)

const runHelp = `Serve the routes of the file until SIGTERM or SIGINT.

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

With a state directory it guards against a crash loop: after two deaths, each within a
minute of a start or reload with a new config, it starts with the last config that has
served for a minute, until the file changes or "anyport reload" tries it again. The
directory is that of --state, of $STATE_DIRECTORY (StateDirectory= in a unit), or
` + defaultState + ` if that exists.

Under systemd it reports when it is ready, reloads and stops. With WatchdogSec= it reports
that its event loops turn. With FileDescriptorStoreMax= its sockets outlive it: after a
crash clients wait in their queues.`

// newRun wires the daemon to this process: its signals, its service manager, and the process that it
// replaces in an upgrade.
func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [-c FILE] [--state DIR] [--shadow | --confirm TIME]",
		Short: "Serve until a signal to stop",
		Long:  runHelp,
		Example: `  anyport run -c /etc/anyport/anyport.toml
  anyport run --shadow -c anyport.toml          # rehearse beside another proxy
  anyport run --confirm 60s -c anyport.toml     # and then: anyport confirm`,
		Args: noArgs,
	}
	path := fileFlag(cmd)
	rehearse := cmd.Flags().Bool("shadow", false, "steer nothing, and count what would be different")
	confirm := cmd.Flags().Duration("confirm", 0, "give all back after this `TIME` unless \"anyport confirm\" comes; 0: never, and do not ask")
	state := cmd.Flags().String("state", "", "remember here which config has lasted, in this `DIRECTORY`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o := runOptions{path: *path, rehearse: *rehearse, confirm: *confirm, confirms: cmd.Flags().Changed("confirm")}
		switch {
		case o.confirm < 0:
			return usagef("--confirm %v: write how long to wait, such as 60s, or 0", o.confirm)
		case o.rehearse && o.confirms:
			return usagef("--shadow and --confirm: give one of them; a rehearsal has nothing to give back")
		}
		o.state = stateDirectory(*state, o.rehearse)
		return o.runGuarded(cmd)
	}
	return cmd
}

// runOptions are the command line of run, and what it has found.
type runOptions struct {
	path     string
	rehearse bool
	confirm  time.Duration
	confirms bool           // confirm was given
	before   *handover.Conn // to the process that this one replaces; nil: none
	guard    *crashloop.Guard
	state    string // the state directory; "": none
}

// runGuarded is run with a guard against crash loops. The process that this one replaces is told if it fails.
func (o runOptions) runGuarded(cmd *cobra.Command) (err error) {
	if o.before, err = handover.Predecessor(); err != nil {
		return err
	}
	if o.before != nil {
		defer func() {
			if err != nil {
				_ = o.before.Refuse(err) // fails if it knows, or has ended
			}
		}()
	}
	o.guard = crashloop.Open(crashloop.Options{Directory: o.state, Path: o.path, Version: version(), Upgrade: o.before != nil})
	err = o.run(cmd)
	// Not deferred: during a panic it would report an orderly end. An error changes nothing.
	_ = o.guard.Close()
	return err
}

// run serves, or rehearses, until a signal to stop.
func (o runOptions) run(cmd *cobra.Command) error {
	c, problem, err := o.load()
	if err != nil {
		return err
	}
	// Go ends a process when its write to fd 2 fails with EPIPE, even if it was started with SIGPIPE
	// ignored, unless the process asks for the signal (os/signal, "SIGPIPE").
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if o.rehearse {
		return runShadow(cmd, c, signals)
	}
	stored := systemd.Stored()
	if o.before == nil && len(stored) == 0 && !o.confirms {
		if err := checkTakeover(cmd, c); err != nil {
			return err
		}
	}
	log, err := openLog(cmd.ErrOrStderr())
	if problem != nil {
		fmt.Fprintf(log, "anyport: the table of the disk is not used: %s\n", config.Summary(problem))
	}
	if err != nil {
		fmt.Fprintf(log, "anyport: if it panics, this process will wait for the reader of its stderr: %v\n", err)
	}
	return daemon.Run(cmd.Context(), daemon.Options{
		Config:  c,
		Version: version(),
		Log:     log,
		Signals: signals,
		Manager: systemd.FromEnvironment(),
		Stored:  stored,
		Confirm: o.confirm,
		Drop:    true,
		Guard:   o.guard,
		State:   o.state,

		AfterSignal: logTakeover,

		Watchdog: systemd.Watchdog(),

		Predecessor: o.before,
	})
}

// openLog returns where the log goes. From here on no panic waits for the reader of stderr.
func openLog(to io.Writer) (io.Writer, error) {
	if to != os.Stderr { // a test's
		return to, nil
	}
	return stderr.Unblock()
}

// defaultState is used only if it exists: a package makes it. Nobody starts an anyport again that was started
// by hand.
const defaultState = "/var/lib/anyport"

// stateDirectory is "" if there is none. A rehearsal has none: it must leave no trace.
func stateDirectory(named string, rehearse bool) string {
	if rehearse || named != "" {
		return named
	}
	if first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); first != "" {
		return first
	}
	if info, err := os.Stat(defaultState); err == nil && info.IsDir() {
		return defaultState
	}
	return ""
}
