package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
	"anyport/steering"
)

const upgradeHelp = `Make the running anyport start its binary again, as it is on disk now, and hand over to the
new process: the sockets with everybody who waits in their queues, the steering, the UDP
flows and the live TCP conns. The new process reads the file and has another pid; the old
one ends.

Nobody is refused and no conn ends meanwhile. If the new binary does not start, or refuses
the file, the old process serves on and the command prints the reason.

If the new binary has another program for the kernel, run this command as root and from the
new binary: it loads that program, which a serving process has no privilege to do.

SIGUSR2 does the same and writes the result to the log, for a binary with the same program
for the kernel.

With --share the new process only takes the new TCP conns of that part of the clients, and
the old one goes on with all else: the others' conns, UDP, its live conns, the admin socket.
A client, which is an IPv4 address or an IPv6 /64, stays with its process. Status counts both
sides. Then --back ends the trial: the live conns of the new process move to the old one, and
the new one ends. --all does the same, and then upgrades to that binary as without --share.
Until then no reload and no other upgrade is accepted. If the new process dies or stands
still, the old one has all clients from the next conn on. If the old process dies, the new one
takes its place, except under systemd, which ends both and starts the old binary again.`

// newUpgrade does more than ask: if the new binary has another BPF program, this process loads it, since the
// serving one has usually given up CAP_BPF. Its descriptors go along with the request.
func newUpgrade() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade [--binary PATH] [--share PERCENT | --all | --back] [-c FILE | --socket PATH]",
		Short: "Replace the running binary without losing a connection",
		Long:  upgradeHelp,
		Example: `  install -m 755 anyport-new /usr/local/bin/anyport && anyport upgrade
  anyport upgrade --binary ./anyport
  anyport upgrade --share 5%   # for some clients, and later: --all or --back`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	var o upgradeOptions
	cmd.Flags().StringVar(&o.binary, "binary", "", "start this binary, `PATH`, instead of the one that is running")
	cmd.Flags().StringVar(&o.share, "share", "", "have the new process take the conns of only `PERCENT` of the clients, such as 5%")
	cmd.Flags().BoolVar(&o.all, "all", false, "have the binary of --share serve all clients")
	cmd.Flags().BoolVar(&o.back, "back", false, "end the process of --share")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.parse(cmd); err != nil {
			return err
		}
		client, err := ask()
		if err != nil {
			return err
		}
		return o.upgrade(cmd, client)
	}
	return cmd
}

// upgradeOptions are the command line of upgrade.
type upgradeOptions struct {
	binary    string // "": the one that is running
	share     string
	percent   float64 // of share; 0: none was given
	all, back bool    // end a trial
}

// parse reads the options, and refuses those that do not go together.
func (o *upgradeOptions) parse(cmd *cobra.Command) (err error) {
	if err := refuseEmpty(cmd, "binary", "name a binary, or leave it out for the one that is running"); err != nil {
		return err
	}
	if err := refuseEmpty(cmd, "share", "say how many of the clients: 5%"); err != nil {
		return err
	}
	if o.percent, err = parseShare(o.share); err != nil {
		return err
	}
	switch given := countOf(o.percent > 0, o.all, o.back); {
	case given > 1:
		return usagef("give one of --share, --all and --back")
	case (o.all || o.back) && o.binary != "":
		return usagef("--binary: the binary is that of --share")
	case o.binary != "":
		o.binary, err = filepath.Abs(o.binary)
	}
	return err
}

// upgrade has the order carried out, and prints its outcome.
func (o *upgradeOptions) upgrade(cmd *cobra.Command, client admin.Client) error {
	spare, err := o.preload(cmd, client)
	if err != nil {
		return err
	}
	defer spare.Close()
	upgraded, err := o.order(cmd.Context(), client, spare.Handover())
	if err != nil {
		return err
	}
	text.Upgraded(cmd.OutOrStdout(), upgraded)
	return nil
}

// order sends the one that the options stand for.
func (o *upgradeOptions) order(ctx context.Context, client admin.Client, spare map[string]int) (*admin.Upgraded, error) {
	switch {
	case o.back:
		return client.EndUpgradeShare(ctx, false, nil)
	case o.all:
		return client.EndUpgradeShare(ctx, true, spare)
	case o.percent > 0:
		return client.UpgradeShare(ctx, o.binary, o.percent, spare)
	}
	return client.Upgrade(ctx, o.binary, spare)
}

// preload loads the steering program of this build, if it is needed and that in service is of another one. A trial needs
// it only if the process that serves dies.
func (o *upgradeOptions) preload(cmd *cobra.Command, client admin.Client) (*steering.Preloaded, error) {
	if o.back {
		return nil, nil
	}
	about, err := client.About(cmd.Context())
	if err != nil {
		return nil, err
	}
	spare, err := steering.Preload(about.ProgramID)
	if err != nil && o.percent > 0 {
		cmd.PrintErrf("anyport: if the running process dies during the trial, the new one cannot take its place: %v\n", err)
		return nil, nil
	}
	if spare != nil || err != nil || o.percent > 0 {
		return spare, err
	}
	return preloadPeers(cmd.Context(), client, about)
}
