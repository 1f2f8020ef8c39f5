package main

import (
	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/text"
)

// newConfirm is the other half of run --confirm.
func newConfirm() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm [-c FILE | --socket PATH]",
		Short: "Keep what run --confirm would give back",
		Long: `Make an anyport that was started with "run --confirm TIME" stay. Without it that anyport
gives its prefixes back when the time is over, and ends: the change undoes itself if you
have cut yourself off. The status shows how much time is left.

The exit status is 1 if there is nothing to confirm, or not any more.`,
		Example: `  anyport run --confirm 60s -c /etc/anyport/anyport.toml
  anyport confirm`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := ask()
		if err != nil {
			return err
		}
		confirmed, err := client.Confirm(cmd.Context())
		if err != nil {
			return err
		}
		text.Confirmed(cmd.OutOrStdout(), confirmed)
		return nil
	}
	return cmd
}
