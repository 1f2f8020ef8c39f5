package main

import (
	"context"

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

// reloadWithPeers is the client's Reload, with what the process lacks to ask peers.
func reloadWithPeers(client admin.Client) func(context.Context, bool) (*admin.Reloaded, error) {
	return func(ctx context.Context, dryRun bool) (*admin.Reloaded, error) {
		status, err := client.Status(ctx)
		if err != nil {
			return nil, err
		}
		loaded, err := preloadPeers(status)
		if err != nil {
			return nil, err
		}
		defer loaded.Close()
		return client.Reload(ctx, dryRun, loaded.Handover())
	}
}
