package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/access"
	"anyport/cmd/anyport/internal/fleet/etcd"
	"anyport/config"
)

// storeTimeout is how long a command waits for the source.
const storeTimeout = 10 * time.Second

// errNoEtcd is why a fleet has no reports, and nothing can be pushed to it.
var errNoEtcd = errors.New(`only an etcd has the reports of the hosts, and takes a push: write source = "etcd://HOST:PORT/PREFIX" in [fleet]`)

// openFleetOf reads a file, as check does, and opens the store that it names.
func openFleetOf(cmd *cobra.Command, path string) (*config.Config, fleet.Store, error) {
	c, _, err := compile(cmd, path)
	if err != nil {
		return nil, nil, err
	}
	if !c.Fleet.IsEtcd() {
		return nil, nil, fmt.Errorf("%s: %w", c.Path, errNoEtcd)
	}
	store, err := openStore(c.Fleet)
	return c, store, err
}

// openStore is a variable for the tests, which have no etcd.
var openStore = func(f config.Fleet) (fleet.Store, error) {
	keys, err := access.Read(f)
	if err != nil {
		return nil, err
	}
	return etcd.Open(f.Source, keys)
}
