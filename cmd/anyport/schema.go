package main

import (
	"github.com/spf13/cobra"

	"anyport/config"
)

// newSchema prints what editors complete and check the file with. It is that of this binary, so it knows
// the keys that this binary knows.
func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON schema of the file, for editors",
		Long: `Print the JSON schema (draft 7) of the configuration, for editors that complete and check
TOML with one, such as those with taplo (Even Better TOML in Visual Studio Code).

Save it beside the file, and name it in the first line of the file:

  #:schema ./` + config.SchemaName + `

A schema cannot know all: "anyport check" finds what is left.`,
		Example: "  anyport schema > /etc/anyport/" + config.SchemaName,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.JSONSchema())
			return err
		},
	}
}
