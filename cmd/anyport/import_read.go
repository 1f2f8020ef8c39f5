package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/importer"
	"anyport/cmd/anyport/internal/iptables"
	"anyport/cmd/anyport/internal/ruleset"
)

// read gets the rules from where the flags say.
func (f *ruleFlags) read(cmd *cobra.Command, from ruleSource, args []string, options *importer.Options) (*ruleset.Ruleset, error) {
	name, text := "stdin", ""
	switch {
	case f.live && len(args) > 0:
		return nil, usagef("--live reads this host, and FILE a file: give one of them")
	case f.live:
		var err error
		if name, text, err = "this host", "", readHost(options); err != nil {
			return nil, err
		}
		if text, err = readLive(cmd.Context(), from.live); err != nil {
			return nil, err
		}
	case len(args) == 1 && args[0] != "-":
		data, err := os.ReadFile(args[0])
		if err != nil {
			return nil, err
		}
		name, text = args[0], string(data)
	default:
		data, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return nil, err
		}
		text = string(data)
	}
	sets, err := f.sets(cmd.Context(), from.name == "iptables")
	if err != nil {
		return nil, err
	}
	rules, err := from.parse(text, sets)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rules, nil
}

// sets reads the sets that rules of iptables name: from a file, or from this host if the rules are this host's.
func (f *ruleFlags) sets(ctx context.Context, used bool) (*iptables.Sets, error) {
	name, text := f.ipset, ""
	switch {
	case f.ipset != "":
		data, err := os.ReadFile(f.ipset)
		if err != nil {
			return nil, err
		}
		text = string(data)
	case f.live && used:
		path, err := lookPath("ipset")
		if err != nil {
			return nil, nil // a rule with a set is left, and says what is missing
		}
		name = "ipset save"
		if text, err = print(ctx, path, []string{"save"}); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	default:
		return nil, nil
	}
	sets, err := iptables.ParseSets(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return sets, nil
}
