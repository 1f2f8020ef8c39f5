package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/fleet/access"
	"anyport/cmd/anyport/internal/knock"
	"anyport/cmd/anyport/internal/peers"
	"anyport/cmd/anyport/internal/text"
	"anyport/config"
	"anyport/proxy/logfile"
	"anyport/steering/table"
)

const checkHelp = `Read the file as "anyport run" would, and report all of its problems at once, each with
its line, route and key, the value found, and what is allowed.

Something valid that may surprise is a note on stderr.

It reads the file, and those that it names for secrets and certificates: of [knock] keys if
a route needs it, and of [fleet]. "anyport run" also checks what depends on this host: its
addresses and the listeners of other processes. A FILE of - is stdin.

With --effective it prints the file that this one stands for: every key, with defaults
marked, and in each route what it inherits.`

// newCheck needs no root, no BPF and no running anyport: reading a file and compiling its table are pure.
func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [-c FILE | FILE] [--effective]",
		Short: "Read and validate the file",
		Long:  checkHelp,
		Example: `  anyport check /etc/anyport/anyport.toml
  anyport check --effective /etc/anyport/anyport.toml
  generate | anyport check -`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	path := fileFlag(cmd)
	effective := cmd.Flags().Bool("effective", false, "print all values that anyport uses, as a file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 1:
			return usagef("check takes one file, not %d", len(args))
		case len(args) == 1 && cmd.Flags().Changed("config"):
			return usagef("-c and %q both name a file: give one of them", args[0])
		case len(args) == 1:
			*path = args[0]
		}
		if *path == "" {
			return usagef("the name of the file is empty")
		}
		return check(cmd, *path, *effective)
	}
	return cmd
}

// check prints what is to be said of a file, or the file with all values.
func check(cmd *cobra.Command, path string, effective bool) error {
	c, table, err := compile(cmd, path)
	if err != nil {
		return err
	}
	if err := errors.Join(checkKeys(c), checkFleet(c)); err != nil {
		return err
	}
	for _, note := range c.Notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: note: %s\n", logfile.PrintableText(fmt.Sprint(note)))
	}
	if effective {
		_, err = fmt.Fprint(cmd.OutOrStdout(), c.Effective())
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s, %s\n", c.Path,
		text.Count(len(c.Routes), "route", "routes"), text.Count(table.Prefixes(), "prefix", "prefixes"))
	return err
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

// checkFleet reads the files of [fleet], as run does.
func checkFleet(c *config.Config) error {
	var errs []error
	if c.Fleet.HasPeers() {
		if _, err := peers.ReadKeys(c.Fleet.Key); err != nil {
			errs = append(errs, fmt.Errorf("[fleet] key: %w", err))
		}
	}
	if c.Fleet.Source != "" {
		_, err := access.Read(c.Fleet)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// compile reads the file and makes its table.
func compile(cmd *cobra.Command, path string) (*config.Config, *table.Table, error) {
	c, err := loadOrStdin(cmd, path)
	if err != nil {
		return nil, nil, err
	}
	table, err := table.Compile(c)
	return c, table, err
}

// mostStdin bounds what is read of stdin, as config.Read does for a file.
const mostStdin = 256 << 20

// loadOrStdin reads the file; "-" is stdin, as for other programs.
func loadOrStdin(cmd *cobra.Command, path string) (*config.Config, error) {
	if path != "-" {
		return config.Load(path)
	}
	text, err := readStdin(cmd)
	if err != nil {
		return nil, err
	}
	return config.Parse("stdin", text)
}

// readStdin reads a file from stdin to its end.
func readStdin(cmd *cobra.Command) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), mostStdin+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("stdin: %w", err)
	case len(text) > mostStdin:
		return nil, errors.New("stdin: it is longer than 256 MiB")
	}
	return text, nil
}
