package doctor

import (
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
)

func lacks(capabilities ...uint) func(*Facts) {
	return func(f *Facts) {
		for _, c := range capabilities {
			f.Capabilities &^= 1 << c
		}
	}
}

func has(capability uint) func(*Facts) {
	return func(f *Facts) { f.Capabilities |= 1 << capability }
}

func TestPrivileges(t *testing.T) {
	run(t, "privileges", []example{
		{"no CAP_BPF",
			lacks(unix.CAP_BPF),
			[]Status{Failure}, "CAP_BPF missing", "sudo setcap cap_bpf,cap_net_admin,cap_net_bind_service,cap_net_raw+ep /usr/bin/anyport"},
		{"no CAP_BPF, and another user to become",
			all(lacks(unix.CAP_BPF), func(f *Facts) { f.Config.Steering.User = "anyport" }),
			[]Status{Failure}, "CAP_BPF missing", "sudo setcap cap_bpf,cap_net_admin,cap_net_bind_service,cap_net_raw,cap_chown,cap_setuid,cap_setgid+ep /usr/bin/anyport"},
		{"no CAP_BPF, but what holds it",
			all(lacks(unix.CAP_BPF), has(unix.CAP_SYS_ADMIN)),
			[]Status{OK}, "", ""},
		{"no replies from low ports",
			lacks(unix.CAP_NET_BIND_SERVICE),
			[]Status{Failure}, "CAP_NET_BIND_SERVICE missing", "sudo setcap cap_bpf,cap_net_admin,cap_net_bind_service,cap_net_raw+ep /usr/bin/anyport"},
		{"raw replies from low ports",
			all(lacks(unix.CAP_NET_BIND_SERVICE), has(unix.CAP_NET_RAW)),
			[]Status{OK}, "", ""},
		{"everybody may bind low ports",
			all(lacks(unix.CAP_NET_BIND_SERVICE), sysctlIs("net/ipv4/ip_unprivileged_port_start", "0")),
			[]Status{OK}, "", ""},
		{"TCP alone",
			all(lacks(unix.CAP_NET_BIND_SERVICE), func(f *Facts) { f.Config.Routes[0].Protocols = []config.Protocol{config.TCP} }),
			[]Status{OK}, "", ""},
		{"root of a container",
			func(f *Facts) { f.UserNamespace = true },
			[]Status{Failure}, "user namespace", "run it in the initial user namespace (for Docker: --userns=host --cap-add=BPF --cap-add=NET_ADMIN)"},
	})
}
