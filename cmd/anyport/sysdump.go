package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/sysdump"
	"anyport/cmd/anyport/internal/text"
	"anyport/proxy/logfile"
)

// newSysdump works with and without a running process, and with a broken file.
func newSysdump() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sysdump [FILE | -] [-c FILE] [--socket PATH]",
		Short: "Gather all that a maintainer would ask for, without secrets, in one archive",
		Long: `Write an archive (.tar.gz) with the file, what doctor says, the programs and maps in the
kernel, counters of the network, versions, and of the running anyport: status, routes,
origins, a summary of its flows, and the newest 1,000 lines of its log. Its README names
each file, and what could not be read.

Values of secret keys are replaced by *** wherever they are found: passwords in URLs, keys,
tokens, texts of proxy_tlvs, what health checks send and expect, sequences of knocks. Look
through the archive all the same before you give it away.

FILE must not exist; only its owner may read it. "-" is stdout. Without FILE the name has the
host and the time. Run it as root: others cannot read the maps of the kernel.`,
		Example: `  anyport sysdump
  anyport sysdump - | ssh admin@example tee edge.tar.gz > /dev/null`,
		Args: cobra.ArbitraryArgs,
	}
	path := fileFlag(cmd)
	socket := cmd.Flags().String("socket", "", "ask on this admin socket, `PATH`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseEmpty(cmd, "socket", "name a socket, or leave it out"); err != nil {
			return err
		}
		if len(args) > 1 || len(args) == 1 && args[0] == "" {
			return usagef("sysdump takes one file, or -")
		}
		if len(args) == 1 && args[0] == "-" && text.IsTerminal(cmd.OutOrStdout()) {
			return usagef("stdout is a terminal: an archive would garble it")
		}
		o := sysdump.Options{
			Path: *path, Named: cmd.Flags().Changed("config"), Socket: *socket,
			Version: versionLine(), Now: time.Now(), Host: sysdump.Hostname(),
		}
		if o.Socket == "" {
			o.Socket, _, _ = adminSocket(*path) // of a broken file it is the default
		}
		return writeSysdump(cmd, sysdump.Gather(cmd.Context(), o), args)
	}
	return cmd
}

// writeSysdump writes the archive where the command line says, and says what is in it.
func writeSysdump(cmd *cobra.Command, a *sysdump.Archive, args []string) (err error) {
	name := a.Name() + ".tar.gz"
	if len(args) == 1 {
		name = args[0]
	}
	if name == "-" {
		err = a.Write(cmd.OutOrStdout())
	} else {
		err = a.WriteFile(name)
	}
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	for _, what := range a.Missing() {
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: not in the archive: %s\n", logfile.PrintableText(strings.ReplaceAll(what, "\n", "; ")))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "anyport: the archive was made %s\n", logfile.PrintableText(a.Process()))
	if name != "-" {
		fmt.Fprintln(cmd.OutOrStdout(), name)
	}
	return nil
}
