package doctor

import (
	"errors"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering"
)

var (
	errPin = errors.New("lies in no bpffs")
	errTUN = errors.New("no such device")
)

func death(pin string, f steering.Forecast) func(*Facts) {
	return func(facts *Facts) { facts.Config.Steering.Pin, facts.Death = pin, f }
}

func TestBPFFS(t *testing.T) {
	run(t, "bpffs", []example{
		{"nothing to pin",
			death("", steering.Forecast{Then: steering.Unreachable}),
			[]Status{OK}, "nothing is pinned", ""},
		{"no bpffs",
			death(config.PinAuto, steering.Forecast{Pin: "/sys/fs/bpf/x", PinErr: errPin, Then: steering.Unreachable}),
			[]Status{OK}, "nothing is pinned: lies in no bpffs", ""},
		{"no bpffs to pin in",
			death("/run/pin", steering.Forecast{Pin: "/run/pin", PinErr: errPin}),
			[]Status{Failure}, "lies in no bpffs", mountBPFFS + "\n# and name a directory in it: steering.pin = \"/sys/fs/bpf/anyport\""},
	})
}

func TestKilled(t *testing.T) {
	run(t, "killed", []example{
		{"no bpffs, but tun",
			death(config.PinAuto, steering.Forecast{PinErr: errPin, Then: steering.Unreachable}),
			[]Status{OK}, "its local routes end with it", ""},
		{"routes of the operator's",
			death("", steering.Forecast{Then: steering.Exposed}),
			[]Status{Warning}, "routes that are not its own", mountBPFFS + "\n# and restart anyport; with steering.pin = \"\" remove that line first"},
		{"a process that knows better",
			func(f *Facts) {
				f.Running = &admin.Status{Steering: admin.SteeringStatus{OnDeath: admin.Exposed}}
			},
			[]Status{Warning}, "routes that are not its own", mountBPFFS + "\n# and restart anyport; with steering.pin = \"\" remove that line first"},
		{"neither bpffs nor tun",
			death(config.PinAuto, steering.Forecast{PinErr: errPin, TUNErr: errTUN}),
			[]Status{Failure}, "neither a bpffs to pin in nor /dev/net/tun: no such device",
			mountBPFFS + "   # or: modprobe tun; in a systemd unit: PrivateDevices=no and DeviceAllow=/dev/net/tun rw"},
	})
}

func TestLeftovers(t *testing.T) {
	run(t, "leftovers", []example{
		{"routes of a process that has ended",
			func(f *Facts) { f.Leftovers = []string{"route local 192.0.2.0/24 dev lo", "another"} },
			[]Status{Warning}, "left 2 things: route local 192.0.2.0/24 dev lo", "/usr/bin/anyport unload -c " + file},
	})
}

// TestKilledByTheFile: what the file says decides if no anyport runs, or an older one that does not say.
func TestKilledByTheFile(t *testing.T) {
	run(t, "killed", []example{
		{"pinned",
			death("/sys/fs/bpf/anyport", steering.Forecast{Then: steering.Refused}),
			[]Status{OK}, "the kernel refuses what it served", ""},
		{"a pin that cannot be used",
			death("/run/pin", steering.Forecast{Pin: "/run/pin", PinErr: errPin}),
			[]Status{Failure}, "steering.pin cannot be used", mountBPFFS},
		{"an older version",
			all(runs(), death("", steering.Forecast{Then: steering.Unreachable})),
			[]Status{OK}, "its local routes end with it", ""},
	})
}
