package main

import (
	"context"
	"errors"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering"
)

// The commands leave the file to the process, which has a time limit for it and says whether it has peers that cannot
// be asked: on a mount that hangs a command could not even be killed, and a binary that dies of parsing a file is to
// do so where the crash-loop guard sees it.

// preloadFleet is a variable for the tests, which have no program in the kernel.
var preloadFleet = steering.PreloadFleet

// preloadPeers loads the programs that ask the peers of the fleet, if the running anyport does not ask them and the
// file has peers. nil: they are not needed, or cannot be loaded here, and the process says why.
func preloadPeers(ctx context.Context, client admin.Client, about *admin.About) (*steering.Preloaded, error) {
	if about.Peers != nil {
		return preloadOff(about), nil
	}
	if _, err := client.Reload(ctx, true, nil); !errors.Is(err, admin.ErrPeers) {
		return nil, nil
	}
	return preloadFleet(about.ProgramID)
}

// preloadOff is preloadPeers for a process whose file has had peers. It returns no error: the status says already that
// the peers cannot be asked.
func preloadOff(about *admin.About) *steering.Preloaded {
	if about.Peers == nil || about.Peers.Off == "" {
		return nil
	}
	loaded, _ := preloadFleet(about.ProgramID)
	return loaded
}

// reloadWithPeers is the client's Reload, with the programs that the process lacks to ask peers. If its file has had
// no peers, the process reads the new file first and refuses.
func reloadWithPeers(client admin.Client) func(context.Context, bool) (*admin.Reloaded, error) {
	return func(ctx context.Context, dryRun bool) (*admin.Reloaded, error) {
		about, err := client.About(ctx)
		if err != nil {
			return nil, err
		}
		off := preloadOff(about)
		defer off.Close()
		reloaded, err := client.Reload(ctx, dryRun, off.Handover())
		if about.Peers != nil || !errors.Is(err, admin.ErrPeers) {
			return reloaded, err
		}
		loaded, failed := preloadFleet(about.ProgramID)
		if failed != nil || loaded == nil {
			return reloaded, errors.Join(err, failed)
		}
		defer loaded.Close()
		return client.Reload(ctx, dryRun, loaded.Handover())
	}
}
