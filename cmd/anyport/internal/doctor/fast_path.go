package doctor

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
	"anyport/steering"
)

// readFastPath asks the running anyport, and else looks where it would forward.
func readFastPath(_ context.Context, f *Facts) error {
	if f.Running != nil {
		f.FastPath = f.Running.Steering.FastPath
		return nil
	}
	if !f.holds(unix.CAP_NET_ADMIN) {
		return errors.New("to look for what the fast path would bypass needs CAP_NET_ADMIN")
	}
	s, err := steering.ForecastFastPath(f.config())
	f.FastPath = admin.FastPathStatus{Off: s.Off, Way: string(s.Way)}
	for _, d := range s.Devices {
		f.FastPath.Devices = append(f.FastPath.Devices, admin.FastDevice(d))
	}
	return err
}

// checkFastPath never finds a fault: where the kernel does not forward UDP flows, user space does.
func checkFastPath(f *Facts) []Finding {
	return ok("UDP flows in the kernel: %s", text.FastPath(f.FastPath))
}
