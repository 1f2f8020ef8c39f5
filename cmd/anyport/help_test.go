package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelp holds for every command: one line of purpose, details, and an example
// at the end that this very command line understands.
func TestHelp(t *testing.T) {
	root := newRoot()
	for _, cmd := range append(root.Commands(), root) {
		t.Run(cmd.Name(), func(t *testing.T) {
			if cmd.Short == "" || strings.Contains(cmd.Short, "\n") || strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("purpose %q: want one line without a full stop", cmd.Short)
			}
			if cmd.Long == "" {
				t.Error("no details")
			}
			var out bytes.Buffer
			cmd.SetOut(&out)
			if err := cmd.Help(); err != nil {
				t.Fatal(err)
			}
			if cmd.Example == "" || !strings.HasSuffix(out.String(), cmd.Example+"\n") {
				t.Errorf("the help does not end with an example:\n%s", out.String())
			}
			for line := range strings.Lines(cmd.Example) {
				checkExample(t, line)
			}
		})
	}
}

// checkExample finds the command of an example and parses its flags.
func checkExample(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(strings.NewReplacer("source <(", "", ")", "", "'", "").Replace(line))
	begin := slices.Index(words, "anyport")
	if begin < 0 {
		t.Errorf("example %q does not call anyport", line)
		return
	}
	words = words[begin+1:]
	for i, w := range words {
		if w == "|" || w == "#" || w == ">" {
			words = words[:i]
			break
		}
	}
	if err := parses(newRoot(), words); err != nil {
		t.Errorf("example %q: %v", line, err)
	}
}

func parses(root *cobra.Command, words []string) error {
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
