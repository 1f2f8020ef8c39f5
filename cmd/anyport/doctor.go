package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/doctor"
)

// newDoctor examines the host of this process. It asks a running anyport too, but works without one.
func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [-c FILE] [--json]",
		Short: "Say whether this host can run anyport, and what to type if not",
		Long: `Examine this host: the features of the kernel, by trying them; privileges; sysctls; the
limit on open files; and for the prefixes and ports of the file: routes, neighbours,
listeners, other sk_lookup programs and TPROXY rules that would get the packets instead.
Each finding says why it matters, and which command mends it.

It only reads, and changes nothing. Run it as the user that anyport is to run as: it
examines what that user may do. The exit status is 1 if anyport would not work, and 0 if
there are only warnings.`,
		Example: `  anyport doctor -c /etc/anyport/anyport.toml
  anyport doctor --json | jq '.findings[] | select(.status != "ok")'`,
		Args: noArgs,
	}
	path := fileFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		facts := doctor.Gather(cmd.Context(), *path, cmd.Flags().Changed("config"))
		return writeReport(cmd, doctor.Examine(facts), *asJSON)
	}
	return cmd
}

// writeReport prints the findings. If anyport would not work, it returns an error after that.
func writeReport(cmd *cobra.Command, report doctor.Report, asJSON bool) error {
	write := func() error { return report.Write(cmd.OutOrStdout()) }
	if asJSON {
		write = func() error { return printJSON(cmd.OutOrStdout(), report) }
	}
	if err := write(); err != nil {
		return err
	}
	if !report.Works {
		return errors.New(report.Summary())
	}
	if !asJSON {
		fmt.Fprintln(cmd.OutOrStdout(), report.Summary())
	}
	return nil
}
