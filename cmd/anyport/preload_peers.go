package main

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/steering"
)

// preloadPeers loads the programs that ask the peers of the fleet, if the running anyport does not ask them and the
// file has peers. nil: they are not needed, or cannot be loaded here, and the process says why.
func preloadPeers(about *admin.About) (*steering.Preloaded, error) {
	if about.Peers != nil {
		return preloadOff(about), nil
	}
	if !fileHasPeers(servedPath(about)) {
		return nil, nil
	}
	return steering.PreloadFleet(about.ProgramID)
}

// preloadOff is preloadPeers for a process whose file has had peers. It reads no file, and it returns no error: the
// status says already that the peers cannot be asked.
func preloadOff(about *admin.About) *steering.Preloaded {
	if about.Peers == nil || about.Peers.Off == "" {
		return nil
	}
	loaded, _ := steering.PreloadFleet(about.ProgramID)
	return loaded
}

// fileHasPeers reports whether a valid file has peers. A file without that word is not parsed: a binary that dies of
// parsing a file is to do so where the crash-loop guard sees it. A file on a mount that hangs is left to the process.
func fileHasPeers(path string) bool {
	text, err := slowfs.Do(slowfs.New(clientReadTimeout), "read "+path, func() ([]byte, error) { return config.Read(path) })
	if err != nil || !bytes.Contains(text, []byte("peers")) {
		return false
	}
	c, err := config.Parse(path, text)
	return err == nil && c.Fleet.HasPeers()
}

// lacksPeers reports whether the process would refuse its file as it is now for peers that it cannot ask. The command
// does not look at the file before: on a mount that hangs it could not even be killed.
func lacksPeers(ctx context.Context, client admin.Client) bool {
	_, err := client.Reload(ctx, true, nil)
	return err != nil && strings.Contains(err.Error(), "fleet.peers")
}

// reloadWithPeers is the client's Reload, with the programs that the process lacks to ask peers. If its file has had
// no peers, the process reads the new file first and refuses: it has a time limit for a file that hangs.
func reloadWithPeers(client admin.Client) func(context.Context, bool) (*admin.Reloaded, error) {
	return func(ctx context.Context, dryRun bool) (*admin.Reloaded, error) {
		about, err := client.About(ctx)
		if err != nil {
			return nil, err
		}
		off := preloadOff(about)
		defer off.Close()
		reloaded, err := client.Reload(ctx, dryRun, off.Handover())
		if err == nil || about.Peers != nil || !strings.Contains(err.Error(), "fleet.peers") {
			return reloaded, err
		}
		loaded, failed := preloadPeers(about)
		if failed != nil || loaded == nil {
			return reloaded, errors.Join(err, failed)
		}
		defer loaded.Close()
		return client.Reload(ctx, dryRun, loaded.Handover())
	}
}
