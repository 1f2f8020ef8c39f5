package main

import (
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"anyport/cmd/daemon"
	"anyport/config"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--json] [-c FILE | --socket PATH]",
		Short: "Show the process, its steering, routes, origins and counters",
		Long: `Ask the running anyport how it fares: process, steering, and for each route what the
kernel and the proxy have counted. Conns are TCP connections and UDP flows together.

It asks on the admin socket: that of --socket, or of the file's admin.socket. With --json
the answer is one object whose keys stay as they are from one version to the next.`,
		Example: `  anyport status
  anyport status --json | jq '.routes[] | {name, conns_active}'`,
		Args: noArgs,
	}
	path := fileFlag(cmd)
	socket := cmd.Flags().String("socket", "", "ask on this admin socket, `PATH`")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		named := cmd.Flags().Changed("config")
		switch {
		case *socket != "" && named:
			return usagef("-c and --socket both say where to ask: give one of them")
		case *socket == "":
			var err error
			if *socket, err = adminSocket(*path, named); err != nil {
				return err
			}
		}
		status, err := daemon.ReadStatus(cmd.Context(), *socket)
		if err != nil {
			return err
		}
		if *asJSON {
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(status)
		}
		return writeStatus(cmd.OutOrStdout(), status)
	}
	return cmd
}

// adminSocket reads from the file where to ask. Without a file of that name, and
// nobody having named one, it is the default.
func adminSocket(path string, named bool) (string, error) {
	c, err := config.Load(path)
	switch {
	case err != nil && !named && errors.Is(err, fs.ErrNotExist):
		return config.DefaultAdminSocket, nil
	case err != nil:
		return "", err
	case c.Admin.Socket == "":
		return "", errors.New("the file has admin.socket = \"\": this anyport cannot be asked")
	}
	return c.Admin.Socket, nil
}
