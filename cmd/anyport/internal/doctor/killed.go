package doctor

import (
	"cmp"
	"fmt"

	"anyport/cmd/anyport/internal/text"
	"anyport/config"
	"anyport/steering"
)

// mountBPFFS mounts a bpffs that only root can use.
const mountBPFFS = "mount -t bpf -o mode=0700 bpf /sys/fs/bpf"

// checkBPFFS says whether the steering can outlive the process.
func checkBPFFS(f *Facts) []Finding {
	const why = "steering can only be pinned in a directory of a bpffs that nobody else may write to"
	d := f.Death
	switch {
	case d.Pin == "":
		return ok(`steering.pin is "": nothing is pinned`)
	case d.PinErr == nil:
		return ok("steering is pinned in %s", d.Pin)
	case f.config().Steering.Pin == config.PinAuto:
		return ok("nothing is pinned: %v", d.PinErr)
	}
	return fail(fmt.Sprintf("%s\n# and name a directory in it: steering.pin = \"/sys/fs/bpf/anyport\"", mountBPFFS), why, "%v", d.PinErr)
}

// checkKilled says what clients meet if the process is killed: a running one knows, otherwise the file
// decides.
func checkKilled(f *Facts) []Finding {
	const why = "the host's own listeners would answer on the served addresses until anyport is back"
	then := f.Death.Then
	if f.Running != nil {
		then = cmp.Or(steering.OnDeath(f.Running.Steering.OnDeath), then) // an older version does not say
	}
	switch then {
	case steering.Refused:
		return ok("if anyport is killed, the kernel refuses what it served")
	case steering.Unreachable:
		return ok("if anyport is killed, its local routes end with it")
	case steering.Exposed:
		return warn(mountBPFFS+"\n# and restart anyport; with steering.pin = \"\" remove that line first", why,
			"if anyport is killed, served addresses stay local by routes that are not its own, and nothing is pinned")
	}
	if f.Death.TUNErr == nil {
		return fail(mountBPFFS, "anyport refuses to start where the steering cannot be pinned as the file says", "steering.pin cannot be used")
	}
	return fail(mountBPFFS+"   # or: modprobe tun; in a systemd unit: PrivateDevices=no and DeviceAllow=/dev/net/tun rw",
		"anyport refuses to start: if it were killed, "+why, "there is neither a bpffs to pin in nor /dev/net/tun: %v", f.Death.TUNErr)
}

// checkLeftovers finds routes and pins of processes that have ended.
func checkLeftovers(f *Facts) []Finding {
	if len(f.Leftovers) == 0 {
		return ok("processes that have ended left nothing")
	}
	return warn(f.Program+" unload -c "+f.Path, "served addresses stay local, or refuse, until anyport is back",
		"a process that has ended left %s: %s", text.Count(len(f.Leftovers), "thing", "things"), f.Leftovers[0])
}
