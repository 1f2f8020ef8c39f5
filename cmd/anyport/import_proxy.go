package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/gommproxy"
	"anyport/cmd/anyport/internal/haproxy"
	"anyport/cmd/anyport/internal/nginx"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
	"anyport/proxy/logfile"
)

// newImportProxies are the commands that read the configurations of other proxies.
func newImportProxies() []*cobra.Command {
	return []*cobra.Command{
		newImportFile("haproxy", "the TCP sections of HAProxy's configuration", haproxy.Read),
		newImportFile("nginx", "the stream part of nginx's configuration", nginx.Read),
		newImportMMProxy(),
	}
}

// prefixFlag adds --prefix.
func prefixFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringSlice("prefix", nil, "serve this `PREFIX` where the proxy listens on all addresses")
}

// newImportFile is the command for a proxy that is configured by a file.
func newImportFile(name, what string, read func(name, text string, o proxyconf.Options) (*proxyconf.Reading, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name + " FILE [--prefix PREFIX]",
		Short: "Import " + what,
		Long: fmt.Sprintf(`Read %s from FILE ("-" is stdin), and write the anyport
file that does the same. The file goes to stdout, with a comment at each route that names its
section. A table of all lines goes to stderr: what each became, or why it is left.

anyport serves prefixes. Where the proxy listens on all addresses, --prefix says which.

Exit status: 0, a file was written, even if lines were left; 1, nothing could be imported.`, what),
		Example: fmt.Sprintf("  anyport import %s FILE --prefix 192.0.2.0/24 > anyport.toml", name),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("import %s takes one argument, the configuration file", name)
			}
			return nil
		},
	}
	prefixes := prefixFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options, err := proxyOptions(*prefixes)
		if err != nil {
			return err
		}
		text, err := readInput(cmd, args[0])
		if err != nil {
			return err
		}
		reading, err := read(args[0], text, options)
		if err != nil {
			return err
		}
		return writeReading(cmd, reading, options)
	}
	return cmd
}

// newImportMMProxy is the command for go-mmproxy, which is configured by its command line.
func newImportMMProxy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "go-mmproxy [--prefix PREFIX] -- OPTION…",
		Short: "Import the command line of go-mmproxy",
		Long: `Write the anyport file that does what go-mmproxy does with these options: peers send PROXY
headers, and the server sees the client's own address. The file goes to stdout. A table of the
options goes to stderr: what each became, or why it is left.

anyport serves prefixes. Where go-mmproxy listens on all addresses, --prefix says which.`,
		Example: "  anyport import go-mmproxy --prefix 192.0.2.7 -- -l 0.0.0.0:25 -4 127.0.0.1:25 --allowed-subnets peers.txt",
		Args:    cobra.ArbitraryArgs,
	}
	prefixes := prefixFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		options, err := proxyOptions(*prefixes)
		if err != nil {
			return err
		}
		reading, err := gommproxy.Read(args, options)
		if err != nil {
			return err
		}
		return writeReading(cmd, reading, options)
	}
	return cmd
}

// proxyOptions are what configurations are read with: this process's environment and files.
func proxyOptions(prefixes []string) (proxyconf.Options, error) {
	parsed, err := parsePrefixes("prefix", prefixes)
	return proxyconf.Options{Prefixes: parsed, Env: os.LookupEnv, ReadFile: os.ReadFile, Glob: filepath.Glob}, err
}

// readInput reads a file, or stdin for "-".
func readInput(cmd *cobra.Command, path string) (string, error) {
	if path == "-" {
		text, err := io.ReadAll(cmd.InOrStdin())
		return string(text), err
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// writeReading writes the file and the table. A file that check refuses, such as one with two routes
// for the same dsts, is written too, with what to change.
func writeReading(cmd *cobra.Command, reading *proxyconf.Reading, options proxyconf.Options) error {
	draft := reading.Draft(options)
	if err := reading.WriteReport(cmd.ErrOrStderr()); err != nil {
		return err
	}
	if len(draft.Routes) == 0 {
		return errors.New("nothing could be imported: the table says why")
	}
	var text strings.Builder
	if err := draft.Write(&text); err != nil {
		return err
	}
	if _, err := config.Parse("anyport.toml", []byte(text.String())); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: note: the file needs a change before anyport takes it\n%s\n", logfile.PrintableText(config.Detail(err)))
	}
	_, err := io.WriteString(cmd.OutOrStdout(), text.String())
	return err
}

// proxies reads the configurations of the proxies behind rules. The rules say which dsts they get.
func (f *ruleFlags) proxies() ([]*proxyconf.Reading, error) {
	options, err := proxyOptions(nil)
	if err != nil {
		return nil, err
	}
	options.Elsewhere = true
	var readings []*proxyconf.Reading
	for _, of := range []struct {
		path string
		read func(name, text string, o proxyconf.Options) (*proxyconf.Reading, error)
	}{{f.haproxy, haproxy.Read}, {f.nginx, nginx.Read}} {
		if of.path == "" {
			continue
		}
		text, err := os.ReadFile(of.path)
		if err != nil {
			return nil, err
		}
		reading, err := of.read(of.path, string(text), options)
		if err != nil {
			return nil, err
		}
		readings = append(readings, reading)
	}
	return readings, nil
}
