package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
)

// clientFlags adds -c and --socket to a command that asks the running anyport. The function that it
// returns makes the client once they are parsed.
func clientFlags(cmd *cobra.Command) func() (admin.Client, error) {
	path := fileFlag(cmd)
	socket := cmd.Flags().String("socket", "", "ask on this admin socket, `PATH`")
	return func() (client admin.Client, err error) {
		if err := checkWhere(cmd); err != nil {
			return client, err
		}
		if *socket != "" {
			return admin.Client{Socket: *socket}, nil
		}
		return clientOf(cmd, *path, cmd.Flags().Changed("config"))
	}
}

// checkWhere refuses flags of which one would be ignored.
func checkWhere(cmd *cobra.Command) error {
	if err := refuseEmpty(cmd, "socket", "name a socket, or leave it out"); err != nil {
		return err
	}
	if cmd.Flags().Changed("socket") && cmd.Flags().Changed("config") {
		return usagef("-c and --socket both say where to ask: give one of them")
	}
	return nil
}

// refuseEmpty refuses an empty value of a flag, for which the command would do what it does without the flag.
// It is usually an unset variable of a shell script: a drain of all routes, or of the default anyport, would be
// dangerous.
func refuseEmpty(cmd *cobra.Command, flag, instead string) error {
	if f := cmd.Flags().Lookup(flag); f.Changed && f.Value.String() == "" {
		return usagef("--%s \"\": %s", flag, instead)
	}
	return nil
}

// anyRoute is what to write in place of an empty --route.
const anyRoute = "name a route, or leave it out for all of them"

// clientOf reads from the file where to ask. A broken file is reported, but the command goes on: it
// may be what the operator needs to mend it. If nobody has named a file and there is none at the
// default path, the default socket is asked without a remark.
func clientOf(cmd *cobra.Command, path string, named bool) (admin.Client, error) {
	socket, found, broken := adminSocket(path)
	client := admin.Client{Socket: socket}
	if socket == "" {
		return client, errors.New("the file has admin.socket = \"\": this anyport cannot be asked: remove the key and restart it, or name another socket with --socket")
	}
	if broken == nil || !named && errors.Is(broken, fs.ErrNotExist) {
		return client, nil
	}
	if named && !found {
		if err := checkServes(cmd.Context(), client, path); err != nil {
			return client, fmt.Errorf("%w: %s", err, config.Summary(broken))
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "anyport: the file is broken, the anyport on %s is asked all the same; \"anyport check -c %s\" shows what is wrong: %s\n",
		socket, path, config.Summary(broken))
	return client, nil
}

// adminSocket is config.AdminSocket with a time limit: the file may be on a mount that hangs. found
// reports whether the file names the socket.
func adminSocket(path string) (socket string, found bool, broken error) {
	type answer struct {
		socket string
		found  bool
		broken error
	}
	a, err := slowfs.Do(slowfs.New(clientReadTimeout), "read "+path, func() (a answer, err error) {
		a.socket, a.found, a.broken = config.AdminSocket(path)
		return a, nil
	})
	if err != nil {
		return config.DefaultAdminSocket, false, err
	}
	return a.socket, a.found, a.broken
}

// clientReadTimeout is how long a command waits for the file.
const clientReadTimeout = 5 * time.Second

// checkServes makes sure that the anyport on the default socket serves the file at path. The file is
// broken and does not name the socket, so another anyport may listen there.
func checkServes(ctx context.Context, client admin.Client, path string) error {
	about, err := client.About(ctx)
	if err != nil {
		return fmt.Errorf("the file does not say where to ask (--socket does), and %w", err)
	}
	served := servedPath(about)
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	if !sameFile(path, served) {
		return fmt.Errorf("the file does not say where to ask, and the anyport on %s serves %s: name the socket with --socket", client.Socket, served)
	}
	return nil
}

// servedPath is the path of the file that an anyport serves. A relative one is relative to the directory that
// the process began in.
func servedPath(about *admin.About) string {
	served := about.Path
	if filepath.IsAbs(served) {
		return served
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", about.PID))
	if err != nil {
		return served
	}
	return filepath.Join(dir, served)
}

// sameFile reports whether two paths are equal, or lead to the same file.
func sameFile(a, b string) bool {
	if a == filepath.Clean(b) {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// printJSON writes one object, indented so that people can read it.
func printJSON(out io.Writer, value any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(value)
}
