package main

import (
	"github.com/spf13/cobra"
)

// newCompletion takes the place of cobra's own command of that name, whose help text and errors differ from
// those of the other commands.
func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a completion script for a shell",
		Long: `Print a script that lets the shell complete commands, flags and file names.

  bash   anyport completion bash > /etc/bash_completion.d/anyport
  zsh    anyport completion zsh > "${fpath[1]}/_anyport"
  fish   anyport completion fish > ~/.config/fish/completions/anyport.fish`,
		Example:   "  source <(anyport completion bash)",
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("completion takes one argument: bash, zsh or fish")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return usagef("shell %q: it must be bash, zsh or fish", args[0])
		},
	}
}
