package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/manual"
)

// newMan is for packagers, and hidden from everybody else: the pages are installed beside the binary.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:       "man anyport.8|anyport.toml.5",
		Short:     "Print a manual page",
		Long:      "Print a manual page of this version in the form that man(1) reads.",
		Example:   "  anyport man anyport.toml.5 | man -l -",
		Hidden:    true,
		ValidArgs: []string{"anyport.8", "anyport.toml.5"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("man takes one argument: anyport.8 or anyport.toml.5")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := ""
			switch args[0] {
			case "anyport.8":
				text = manual.Command(cmd.Root(), version())
			case "anyport.toml.5":
				text = manual.File(version())
			default:
				return usagef("page %q: it must be anyport.8 or anyport.toml.5", args[0])
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
}
