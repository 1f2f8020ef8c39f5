package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/knock"
	"anyport/cmd/anyport/internal/text"
	"anyport/config"
	"anyport/steering/table"
)

// newCheck needs no root, no BPF and no running anyport: reading a file and compiling its table are pure.
func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [-c FILE]",
		Short: "Read and validate the file",
		Long: `Read the file as "anyport run" would, and report all of its problems at once, each with
its line, route and key, the value found, and what is allowed.

Something valid that may surprise is a note on stderr.

It reads only the file, and the one of [knock] keys if a route needs it. "anyport run" also checks what depends on this host: its addresses
and the listeners of other processes.`,
		Example: "  anyport check -c /etc/anyport/anyport.toml",
		Args:    noArgs,
	}
	path := fileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, table, err := compile(*path)
		if err != nil {
			return err
		}
		if err := checkKeys(c); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s, %s\n", c.Path,
			text.Count(len(c.Routes), "route", "routes"), text.Count(table.Prefixes(), "prefix", "prefixes"))
		for _, note := range c.Notes {
			fmt.Fprintf(cmd.ErrOrStderr(), "anyport: note: %v\n", note)
		}
		return nil
	}
	return cmd
}

// checkKeys reads the keys of knocks, if a route needs them.
func checkKeys(c *config.Config) error {
	if !c.TakesKnocks() {
		return nil
	}
	if _, err := knock.ReadKeys(c.Knock.Keys); err != nil {
		return fmt.Errorf("[knock] keys: %w", err)
	}
	return nil
}

// compile reads the file and makes its table.
func compile(path string) (*config.Config, *table.Table, error) {
	c, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	table, err := table.Compile(c)
	return c, table, err
}
