package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/doctor"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [-c FILE] [--json]",
		Short: "Say whether this host can run it, and what to type where not",
		Long: `Examine this host: the kernel's features by trying them, privileges, sysctls, the limit
on open files; and for the file's prefixes and ports: routes, neighbours, listeners,
other sk_lookup programs and TPROXY rules that would be in the way. Each fault says why
it matters, and the command that mends it.

It only reads, and changes nothing. Run it as the user that anyport is to run as: some
of what it asks for, others may not see. The exit status is 1 where anyport would not
work; warnings alone are no failure.`,
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

// writeReport prints what was found. That it would not work is an error, after that.
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
