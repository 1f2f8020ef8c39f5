package steering

import (
	"fmt"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/pins"

	"golang.org/x/sys/unix"
)

// Foresight is what would keep the host's listeners away from clients, should a process of a
// config be killed.
type Foresight struct {
	Pin    string  // the directory; "": nothing is to be pinned
	PinErr error   // why nothing can be pinned there
	TUNErr error   // why there cannot be a device that ends with the process; nil where none is needed
	Then   OnDeath // "": the process would refuse to start
}

// Foresee looks at the host from the network namespace of this thread, and changes nothing.
func Foresee(cfg *config.Config) (Foresight, error) {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &ns); err != nil {
		return Foresight{}, fmt.Errorf("read about this network namespace: %w", err)
	}
	at := pins.PlaceOf(cfg, ns.Ino)
	f := Foresight{Pin: at.Path}
	if at.Path != "" {
		f.PinErr = at.Usable()
	}
	switch {
	case at.Path != "" && f.PinErr == nil:
		f.Then = Refused
	case !at.Auto && f.PinErr != nil: // an explicit place must do
	case !cfg.Steering.ManageRoutes:
		f.Then = Exposed
	default:
		if f.TUNErr = host.TryTUN(); f.TUNErr == nil {
			f.Then = Unreachable
		}
	}
	return f, nil
}
