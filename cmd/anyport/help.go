package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// newHelp takes the place of cobra's own, which exits with 0 after an unknown command.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about a command",
		Long:    "Print the help of a command, or of anyport as a whole.",
		Example: "  anyport help explain",
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return noCommand(cmd.Root(), args)
			}
			return of.Help()
		},
	}
}

// printHelp ends with the examples: people look for them first. It does not use a template of cobra:
// text/template finds methods by name, so with it the linker has to keep every exported method of every
// type, 4 MB of them.
func printHelp(cmd *cobra.Command, _ []string) {
	cmd.InitDefaultHelpFlag() // "anyport help run" lists what "anyport run --help" does
	out := cmd.OutOrStdout()
	whole := cmd.HasAvailableSubCommands()
	use, examples := cmd.UseLine(), "Example"
	if whole {
		use, examples = cmd.CommandPath()+" COMMAND", "Examples"
	}
	fmt.Fprintf(out, "%s\n\nUsage:\n  %s\n", trimEnd(cmp.Or(cmd.Long, cmd.Short)), use)
	if whole {
		printCommands(out, cmd)
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(out, "\nFlags:\n%s\n", trimEnd(cmd.LocalFlags().FlagUsages()))
	}
	if cmd.HasExample() {
		fmt.Fprintf(out, "\n%s:\n%s\n", examples, trimEnd(cmd.Example))
	}
}

// printCommands lists what is below cmd, one line each.
func printCommands(out io.Writer, cmd *cobra.Command) {
	fmt.Fprint(out, "\nCommands:\n")
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			fmt.Fprintf(out, "  %-*s %s\n", below.NamePadding(), below.Name(), below.Short)
		}
	}
}

func trimEnd(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }
