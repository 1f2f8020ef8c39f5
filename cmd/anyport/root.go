package main

import (
	"github.com/spf13/cobra"

	"anyport/config"
)

// newRoot makes the command line. cobra prints nothing itself: execute does, and chooses the exit status.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "anyport",
		Short: "A layer-4 reverse proxy for whole IP prefixes and all ports",
		Long: `anyport serves whole IPv4 and IPv6 prefixes on all 65,535 ports, TCP and UDP, with one
TCP socket and one UDP socket. The kernel steers the packets into them, and a TOML
file says which origin each address and port belongs to.`,
		Example: `  anyport demo                                  # try it on this machine
  anyport check -c anyport.toml                 # is the file right?
  anyport explain -c anyport.toml udp 192.0.2.7:53
  anyport run -c anyport.toml                   # serve`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          runRoot,
	}
	root.Flags().BoolP("version", "v", false, "version for anyport") // cobra's own prints by a template: see printHelp
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpFunc(printHelp)
	root.SetHelpCommand(newHelp())
	root.AddCommand(newRun(), newCheck(), newFmt(), newSchema(), newExplain(), newDoctor(), newImport(), newStatus(), newRoutes(), newOrigins(), newFlows(), newTop(), newTrace(), newScans(), newReload(), newPush(), newFleet(), newUpgrade(), newDrain(), newKill(), newConfirm(), newKnock(), newOrigin(), newUnload(), newSysdump(), newDemo(), newVersion(), newCompletion())
	root.AddCommand(newMan())
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true
		completeNames(cmd)
	}
	return root
}

// runRoot runs "anyport" without a command.
func runRoot(cmd *cobra.Command, args []string) error {
	if asked, err := cmd.Flags().GetBool("version"); err == nil && asked {
		return printVersion(cmd, nil)
	}
	return noCommand(cmd, args)
}

// noCommand is the error if the first word is not a command.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("a command is missing")
	}
	if how := managed[args[0]]; how != "" {
		return usagef("%q is not a command: %s", args[0], how)
	}
	if near := nearest(cmd, args[0]); near != "" {
		return usagef("%q is not a command: did you mean %q?", args[0], near)
	}
	return usagef("%q is not a command", args[0])
}

// mostTypos is how far a word may be from a command that it is taken for.
const mostTypos = 2

// nearest is the command that a misspelt word is nearest to; "": none is near. cobra lists all within a distance, by
// name.
func nearest(cmd *cobra.Command, word string) string {
	for cmd.SuggestionsMinimumDistance = 1; cmd.SuggestionsMinimumDistance <= mostTypos; cmd.SuggestionsMinimumDistance++ {
		if near := cmd.SuggestionsFor(word); len(near) > 0 {
			return near[0]
		}
	}
	return ""
}

// managed says what to do for commands that are the service manager's, or signals.
var managed = map[string]string{
	"stop":    "to stop anyport, type systemctl stop anyport, or send SIGTERM to the pid that \"anyport status\" shows; live conns have drain_timeout left",
	"quit":    "to stop anyport, type systemctl stop anyport, or send SIGTERM to the pid that \"anyport status\" shows",
	"start":   "to start anyport, type systemctl start anyport, or anyport run",
	"restart": "type systemctl restart anyport; \"anyport reload\" loads the file again, and \"anyport upgrade\" replaces the binary, without losing a connection",
}

// noArgs refuses arguments that a command would ignore.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument such as %q", cmd.Name(), args[0])
	}
	return nil
}

// fileFlag adds -c to a command that reads the file.
func fileFlag(cmd *cobra.Command) *string {
	path := cmd.Flags().StringP("config", "c", config.DefaultPath, "read this `FILE`")
	if err := cmd.MarkFlagFilename("config", "toml"); err != nil {
		panic(err) // the flag is not there: a fault of the line above
	}
	return path
}
