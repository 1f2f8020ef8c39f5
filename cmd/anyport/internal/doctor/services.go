package doctor

import (
	"slices"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// checkServices examines what routes to services of this host need: cgroup version 2, CAP_SYS_PTRACE, and one socket
// to choose. A service that does not run is in order.
func checkServices(f *Facts) []Finding {
	if f.Config == nil || !slices.ContainsFunc(f.Config.Routes, leadsToService) {
		return ok("no route leads to a service of this host")
	}
	var findings []Finding
	if f.Cgroup2 != nil {
		findings = append(findings, fail("mount -t cgroup2 none /sys/fs/cgroup", "anyport finds the processes of a unit by its cgroup", "%v", f.Cgroup2)...)
	}
	if !f.holds(unix.CAP_SYS_PTRACE) {
		findings = append(findings, warn("sudo setcap cap_bpf,cap_net_admin,cap_net_bind_service,cap_sys_ptrace+ep "+f.Program,
			"CAP_SYS_PTRACE copies the descriptor of a socket from a service of another user; without it only TCP listeners of a cgroup are noticed, when they begin to listen",
			"CAP_SYS_PTRACE missing")...)
	}
	if f.ServiceErr != nil && f.Cgroup2 == nil {
		findings = append(findings, fail("anyport check -c "+f.Path, "anyport refuses to start with a service that it cannot give packets to", "%v", f.ServiceErr)...)
	}
	return orOK(findings, "services can be found by their cgroups, and none has the wrong sockets")
}

func leadsToService(r *config.Route) bool { return r.Action == config.Socket }
