package doctor

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/steering/program"
)

// checkPrivileges compares the effective capabilities with what steering and the file need.
// CAP_NET_BIND_SERVICE is only needed for UDP answers from low ports, and CAP_NET_RAW stands in for it.
func checkPrivileges(f *Facts) []Finding {
	missing := program.MissingCapabilities(f.Capabilities)
	port, low := f.lowReplies()
	if low && !f.holds(unix.CAP_NET_BIND_SERVICE) && !f.holds(unix.CAP_NET_RAW) {
		missing = append(missing, "CAP_NET_BIND_SERVICE")
	}
	switch {
	case len(missing) > 0:
		return fail(f.setcap(), whyPrivileges(missing, port),
			"%s missing", strings.Join(missing, ", "))
	case f.UserNamespace:
		return fail("run it in the initial user namespace (for Docker: --userns=host --cap-add=BPF --cap-add=NET_ADMIN)",
			"BPF asks for the capabilities of the initial one", "this is a user namespace of its own: its capabilities do not count for BPF")
	}
	return ok("all capabilities that steering needs are held")
}

// whyPrivileges says what each of the missing capabilities is for. port is one that needs
// CAP_NET_BIND_SERVICE.
func whyPrivileges(missing []string, port uint16) string {
	uses := map[string]string{
		"CAP_BPF":              "CAP_BPF loads the steering program",
		"CAP_NET_ADMIN":        "CAP_NET_ADMIN attaches it and makes prefixes local",
		"CAP_NET_BIND_SERVICE": fmt.Sprintf("CAP_NET_BIND_SERVICE answers UDP from ports such as %d", port),
	}
	var why []string
	for _, name := range missing {
		why = append(why, uses[name])
	}
	return strings.Join(why, "; ")
}

// lowReplies returns a port that UDP replies leave from and that not everybody may
// bind, if the file has one.
func (f *Facts) lowReplies() (port uint16, low bool) {
	first, known := f.number("net/ipv4/ip_unprivileged_port_start")
	if !known {
		first = privileges.UsualPortStart
	}
	if f.Config == nil {
		return 0, false
	}
	return privileges.LowReply(f.Config, first)
}

// setcap is the command that gives the program what it needs: all of it, because setcap takes away what it does not
// name.
func (f *Facts) setcap() string {
	names := []string{"cap_bpf", "cap_net_admin", "cap_net_bind_service", "cap_net_raw"}
	if f.Config != nil && f.Config.Steering.User != "" {
		names = append(names, "cap_chown", "cap_setuid", "cap_setgid")
	}
	return "sudo setcap " + strings.Join(names, ",") + "+ep " + f.Program
}
