package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/push"
	"anyport/cmd/anyport/internal/text"
	"anyport/config"
	"anyport/proxy/logfile"
)

const pushHelp = `Send the [defaults], [health.NAME] and [route.NAME] tables of the file to the etcd that its
[fleet] source names, and put them into service on the hosts that take their routes from there.
It checks the file as "anyport check" does, and prints what changes, as "reload --dry-run" does.

It goes stage by stage. A stage is a number of hosts or a part of all of them, rounded up, and
at least one host more than the stage before; the last one is 100%. Which hosts come first depends
on the table: each one meets other hosts first, and the same one when it is pushed again. --first
names the hosts of the first stage instead.

A stage goes on when its hosts have held the table for --hold. Until then each of them must stay
ready and on the table, and its refused, failed and reset conns must stay within twice those of the
hosts that are not in the stage; in the last stage, within twice those of before. Only what is
not by chance counts, and never fewer than 10 conns. Otherwise all hosts get the table before
again at once, and push prints which host and why, and exits with 1.

Ctrl-C brings the hosts back, too. If push itself dies, they go back within about 15 seconds. Only
one push runs at a time: a second one is refused, and prints who runs the first.

--back brings all hosts to the table before, at once; or, if a push runs anywhere, ends it.

With --json each line is one JSON object, whose keys stay the same from version to version.
The exit status of --dry-run is that of "reload --dry-run".`

// newPush needs no running anyport on its own host: it knows the fleet by the source only.
func newPush() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "push [-c FILE] [--stage LIST] [--first HOSTS] [--hold TIME] [--dry-run] [--json] | --back [-c FILE] [--json]",
		Short: "Put a table into service on all hosts of a fleet, stage by stage",
		Long:  pushHelp,
		Example: `  anyport push --dry-run
  anyport push -c edge.toml --stage 1,10%,100% --hold 5m
  anyport push --back`,
		Args: noArgs,
	}
	path := fileFlag(cmd)
	stages := cmd.Flags().String("stage", push.DefaultStages, "hosts of each stage, a `LIST` of numbers and percentages")
	first := cmd.Flags().StringSlice("first", nil, "the hosts of the first stage, `HOSTS` such as edge1,edge2")
	hold := cmd.Flags().Duration("hold", 5*time.Minute, "how long the hosts of a stage must hold the table, `TIME`")
	back := cmd.Flags().Bool("back", false, "back to the table before, at once, or end a push that runs")
	dryRun := cmd.Flags().Bool("dry-run", false, "only say what would change")
	asJSON := cmd.Flags().Bool("json", false, "print a JSON object in each line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		o := push.Options{Hold: *hold, By: whoAmI(), Say: sayEvents(cmd, *asJSON, stop)}
		var err error
		if o.Stages, err = stagesOf(cmd, *stages, *first); err != nil {
			return err
		}
		if *hold < 0 {
			return usagef("--hold must not be negative")
		}
		if *back && (*dryRun || cmd.Flags().Changed("stage") || cmd.Flags().Changed("first") || cmd.Flags().Changed("hold")) {
			return usagef("--back goes at once: leave out --stage, --first, --hold and --dry-run")
		}
		c, store, err := openFleetOf(cmd, *path)
		if err != nil {
			return err
		}
		defer store.Close()
		o.Store = store
		if *back {
			return push.Back(ctx, o)
		}
		changes, err := prepare(ctx, cmd, c, &o)
		if err != nil {
			return err
		}
		printChanges(cmd, changes, *asJSON)
		switch {
		case *dryRun && changes.nothing():
			return nil
		case *dryRun:
			return errChanges
		}
		return push.Run(ctx, o)
	}
	return cmd
}

// stagesOf are those of --stage and --first.
func stagesOf(cmd *cobra.Command, list string, first []string) ([]push.Stage, error) {
	stages, err := push.ParseStages(list)
	if err != nil {
		return nil, usagef("--stage: %w", err)
	}
	if !cmd.Flags().Changed("first") {
		return stages, nil
	}
	if stages, err = push.First(stages, first); err != nil {
		return nil, usagef("--first: %w", err)
	}
	return stages, nil
}

// interruptible ends with a signal that asks push to stop. A second one kills: the first may have met a store
// that does not answer. SIGHUP stays ignored under nohup. SIGPIPE is ignored, so that a reader of stdout which has
// gone shows as an error of a write: caught, the signal would also come from a connection to the store.
func interruptible(parent context.Context) (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(parent, signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// whoAmI is who a refused push names: user@host.
func whoAmI() string {
	name := fmt.Sprint("uid ", os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, _ := os.Hostname()
	return name + "@" + host
}

// sayEvents prints each event on stdout when it happens. It calls stop if nobody reads that any more: a push
// must not go on unwatched because of a pipe to head. execute reports the error.
func sayEvents(cmd *cobra.Command, asJSON bool, stop func()) func(push.Event) {
	return func(e push.Event) {
		var err error
		if asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(e)
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), e)
		}
		if err != nil {
			stop()
		}
	}
}

// tableChanges is what a push would change. Its JSON is a line of push --json.
type tableChanges struct {
	Event   string     `json:"event"`
	Table   fleet.Hash `json:"table"`
	Current fleet.Hash `json:"current"`
	config.Diff

	unknown error // why the current table cannot be compared
}

// nothing reports whether the table is current already.
func (c tableChanges) nothing() bool { return c.Table == c.Current }

// prepare takes the table out of the file, checks it, and compares it with the current one.
func prepare(ctx context.Context, cmd *cobra.Command, c *config.Config, o *push.Options) (changes tableChanges, err error) {
	table, err := c.TableOfFile()
	if err != nil {
		return changes, fmt.Errorf("%s: %w", c.Path, err)
	}
	next, err := c.WithTable(c.Path, []byte(table))
	if err != nil {
		return changes, err
	}
	for _, note := range c.Notes {
		if note.Key == "fleet.source" { // that these routes need a push
			continue
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: note: %s\n", logfile.PrintableText(fmt.Sprint(note)))
	}
	o.Text = []byte(table)
	asking, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	state, err := o.Store.State(asking)
	if err != nil {
		return changes, err
	}
	changes = tableChanges{Event: "changes", Table: fleet.HashOf(o.Text), Current: state.Pointer.Table}
	old := c.WithoutRoutes()
	if changes.Current != "" {
		old, changes.unknown = currentConfig(asking, c, o.Store, changes.Current)
	}
	if changes.unknown == nil {
		changes.Diff = config.Compare(old, next)
	}
	return changes, nil
}

// currentConfig is what the hosts serve, as this host would serve it.
func currentConfig(ctx context.Context, c *config.Config, store fleet.Store, current fleet.Hash) (*config.Config, error) {
	table, err := store.Table(ctx, current)
	if err != nil {
		return nil, err
	}
	return c.WithTable("table "+current.Short(), table)
}

// printChanges prints them before anything happens.
func printChanges(cmd *cobra.Command, c tableChanges, asJSON bool) {
	if c.unknown != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: the table %s cannot be compared: %v\n", c.Current.Short(), c.unknown)
	}
	if asJSON {
		_ = json.NewEncoder(cmd.OutOrStdout()).Encode(c)
		return
	}
	fmt.Fprintf(cmd.OutOrStdout(), "table %s, in place of %s\n", c.Table.Short(), c.Current.Short())
	if c.unknown == nil {
		text.Differences(cmd.OutOrStdout(), c.Diff)
	}
}
