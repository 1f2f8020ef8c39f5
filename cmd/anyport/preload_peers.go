package main

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering"
)

// preloadPeers loads the programs that ask the peers of the fleet, if the running anyport does not ask them and the
// file has peers. nil: they are not needed, or cannot be loaded here, and the process says why.
func preloadPeers(status *admin.Status) (*steering.Preloaded, error) {
	if status.Peers != nil {
		return preloadOff(status), nil
	}
	if !fileHasPeers(servedPath(status)) {
		return nil, nil
	}
	return steering.PreloadFleet(status.Steering.ProgramID)
}

// preloadOff is preloadPeers for a process whose file has had peers. It reads no file, and it returns no error: the
// status says already that the peers cannot be asked.
func preloadOff(status *admin.Status) *steering.Preloaded {
	if status.Peers == nil || status.Peers.Off == "" {
		return nil
	}
	loaded, _ := steering.PreloadFleet(status.Steering.ProgramID)
	return loaded
}

// fileHasPeers reports whether a valid file has peers. A file without that word is not parsed: a binary that dies of
// parsing a file is to do so where the crash-loop guard sees it.
func fileHasPeers(path string) bool {
	text, err := config.Read(path)
	if err != nil || !bytes.Contains(text, []byte("peers")) {
		return false
	}
	c, err := config.Parse(path, text)
	return err == nil && c.Fleet.HasPeers()
}

// reloadWithPeers is the client's Reload, with the programs that the process lacks to ask peers. If its file has had
// no peers, the process reads the new file first and refuses: it has a time limit for a file that hangs.
func reloadWithPeers(client admin.Client) func(context.Context, bool) (*admin.Reloaded, error) {
	return func(ctx context.Context, dryRun bool) (*admin.Reloaded, error) {
		status, err := client.Status(ctx)
		if err != nil {
			return nil, err
		}
		off := preloadOff(status)
		defer off.Close()
		reloaded, err := client.Reload(ctx, dryRun, off.Handover())
		if err == nil || status.Peers != nil || !strings.Contains(err.Error(), "fleet.peers") {
			return reloaded, err
		}
		loaded, failed := preloadPeers(status)
		if failed != nil || loaded == nil {
			return reloaded, errors.Join(err, failed)
		}
		defer loaded.Close()
		return client.Reload(ctx, dryRun, loaded.Handover())
	}
}
