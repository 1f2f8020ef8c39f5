package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering"
)

// preloadPeers loads what asks the peers of the fleet, if the file of a running anyport has peers and that process
// asks none. nil: that is not needed, or not possible here, and the process says why.
func preloadPeers(status *admin.Status) (*steering.Preloaded, error) {
	if status.Peers != nil && status.Peers.Off == "" {
		return nil, nil
	}
	text, err := os.ReadFile(servedPath(status))
	if err != nil || !bytes.Contains(text, []byte("peers")) {
		return nil, nil
	}
	c, err := config.Load(servedPath(status))
	if err != nil || !c.Fleet.HasPeers() {
		return nil, nil
	}
	loaded, err := steering.PreloadFleet(status.Steering.ProgramID)
	if status.Peers != nil { // it is no news that they cannot be asked
		return loaded, nil
	}
	return loaded, err
}

// reloadWithPeers is the client's Reload, and once more with what the process lacks to ask peers if it refuses for
// that. The file is read here only then: it may hang, and the process has a time limit for that.
func reloadWithPeers(client admin.Client) func(context.Context, bool) (*admin.Reloaded, error) {
	return func(ctx context.Context, dryRun bool) (*admin.Reloaded, error) {
		reloaded, err := client.Reload(ctx, dryRun, nil)
		if err == nil || !strings.Contains(err.Error(), "fleet.peers") {
			return reloaded, err
		}
		status, failed := client.Status(ctx)
		if failed != nil {
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
