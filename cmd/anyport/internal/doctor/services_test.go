package doctor

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
)

func TestServices(t *testing.T) {
	leads := func(change func(*Facts)) func(*Facts) {
		return func(f *Facts) {
			c, r := *f.Config, *f.Config.Routes[0]
			r.Action, r.Service = config.Socket, "x.service"
			c.Routes = append(c.Routes[:0:0], &r)
			f.Config = &c
			f.Capabilities |= 1 << unix.CAP_SYS_PTRACE
			change(f)
		}
	}
	run(t, "services", []example{
		{"none", func(*Facts) {}, []Status{OK}, "no route leads to a service", ""},
		{"found", leads(func(*Facts) {}), []Status{OK}, "services can be found by their cgroups", ""},
		{"no cgroup2", leads(func(f *Facts) { f.Cgroup2, f.ServiceErr = errors.New("not mounted"), errors.New("not mounted") }), []Status{Failure},
			"not mounted", "mount -t cgroup2 none /sys/fs/cgroup"},
		{"the wrong socket", leads(func(f *Facts) { f.ServiceErr = errors.New("has several sockets") }), []Status{Failure},
			"has several sockets", "anyport check -c /etc/anyport/anyport.toml"},
		{"no CAP_SYS_PTRACE", leads(func(f *Facts) { f.Capabilities &^= 1 << unix.CAP_SYS_PTRACE }), []Status{Warning},
			"CAP_SYS_PTRACE missing", "sudo setcap cap_bpf,cap_net_admin,cap_net_bind_service,cap_sys_ptrace+ep /usr/bin/anyport"},
	})
}
