package daemon

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/config"
	"anyport/steering/capabilities"
)

// openAccount looks up steering.user early, so that an error has changed nothing.
func (d *daemon) openAccount() (err error) {
	name := d.opt.Config.Steering.User
	if name == "" || !d.opt.Drop {
		return nil
	}
	if d.account, err = privileges.Find(name); err != nil {
		return fmt.Errorf("steering.user: %w", err)
	}
	return nil
}

// dropPrivileges gives up what serving and reloading do not need, once everything is set up.
func (d *daemon) dropPrivileges() error {
	if !d.opt.Drop {
		return nil
	}
	if d.account != nil && d.account.UID != os.Getuid() && d.steering != nil { // a process on trial has none
		if err := d.steering.ChownPins(d.account.UID, d.account.GID); err != nil {
			return err
		}
	}
	if err := privileges.Drop(neededCapabilities(d.opt.Config, kernelRelease()), d.account); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	held, err := privileges.Read()
	if err != nil {
		return err
	}
	d.log.Info("keeping only these privileges", "user", held.User, "capabilities", strings.Join(held.Capabilities, ","))
	d.warnLowReplies(held)
	if shared := privileges.SharedUser(); shared != "" {
		d.log.Warn("anyport runs as a user that other services share: each of their processes may stop, drain and reload it",
			"user", shared, "hint", "useradd --system --no-create-home anyport, and steering.user = \"anyport\"")
	}
	return nil
}

// warnLowReplies says at the start what would else show as flows without an answer: no socket can be bound to a port
// below 1024 without a capability. Raw sockets stand in for it.
func (d *daemon) warnLowReplies(held privileges.Held) {
	port, low := privileges.LowReply(d.opt.Config, privileges.PortStart())
	if !low || slices.Contains(held.Capabilities, "CAP_NET_BIND_SERVICE") || d.hasRaw() {
		return
	}
	d.log.Warn("UDP answers from ports below 1024 cannot be sent: CAP_NET_BIND_SERVICE is missing", "port", port,
		"hint", "AmbientCapabilities= and CapabilityBoundingSet= of the systemd unit, or what anyport doctor says")
}

// hasRaw reports whether answers can be sent through raw sockets.
func (d *daemon) hasRaw() bool {
	if d.raw == nil {
		return false
	}
	four, six := d.raw.FDs()
	return four >= 0 || six >= 0
}

// neededCapabilities are the ones to keep:
//
//   - CAP_NET_BIND_SERVICE binds the sockets that answer datagrams from ports below 1024.
//   - CAP_NET_ADMIN, with manage_routes, changes the local routes on a reload and at the end,
//     and puts back those that others remove.
//     With announce.table it also changes the routes in that table.
//   - CAP_SYS_PTRACE, with a route to a service of this host, copies the descriptors of its sockets
//     (pidfd_getfd) when the service has restarted.
//   - CAP_BPF, before Linux 5.19: there kernel.unprivileged_bpf_disabled forbids every
//     bpf(2) call without it, and not only to make new maps and programs.
func neededCapabilities(c *config.Config, release string) capabilities.Set {
	set := capabilities.Of(unix.CAP_NET_BIND_SERVICE)
	if c.Steering.ManageRoutes || c.Announce.Table != 0 {
		set |= capabilities.Of(unix.CAP_NET_ADMIN)
	}
	if slices.ContainsFunc(c.Routes, func(r *config.Route) bool { return r.Action == config.Socket }) {
		set |= capabilities.Of(unix.CAP_SYS_PTRACE)
	}
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n < 2 || major < 5 || major == 5 && minor < 19 {
		set |= capabilities.Of(unix.CAP_BPF)
	}
	return set
}

// kernelRelease is what `uname -r` prints; "" if that is not known.
func kernelRelease() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return string(text)
}
