package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"anyport/cmd/daemon"
	"anyport/config"
)

// clientFlags adds -c and --socket to a command that asks the running anyport. What it
// returns says, once they are parsed, whom to ask.
func clientFlags(cmd *cobra.Command) func() (daemon.Client, error) {
	path := fileFlag(cmd)
	socket := cmd.Flags().String("socket", "", "ask on this admin socket, `PATH`")
	return func() (client daemon.Client, err error) {
		named := cmd.Flags().Changed("config")
		switch {
		case *socket != "" && named:
			return client, usagef("-c and --socket both say where to ask: give one of them")
		case *socket != "":
			return daemon.Client{Socket: *socket}, nil
		}
		client.Socket, err = adminSocket(*path, named)
		return client, err
	}
}

// adminSocket reads from the file where to ask. Without a file of that name, and
// nobody having named one, it is the default.
func adminSocket(path string, named bool) (string, error) {
	socket, err := config.AdminSocket(path)
	switch {
	case err != nil && !named && errors.Is(err, fs.ErrNotExist):
		return config.DefaultAdminSocket, nil
	case err != nil:
		return "", err
	case socket == "":
		return "", errors.New("the file has admin.socket = \"\": this anyport cannot be asked")
	}
	return socket, nil
}

// printJSON writes one object, for people to read as well.
func printJSON(out io.Writer, value any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(value)
}
