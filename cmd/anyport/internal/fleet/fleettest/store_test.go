package fleettest_test

import (
	"testing"

	"anyport/cmd/anyport/internal/fleet/fleettest"
)

func TestStore(t *testing.T) { fleettest.Conform(t, fleettest.New()) }
