package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func readListen(t *table) Listen {
	l := Listen{Workers: 1, TCPBacklog: 4096, UDPReceiveBuffer: 4 << 20, MaxFlows: 1 << 18}
	set(t, "workers", &l.Workers, integer(1, 1024))
	set(t, "tcp_backlog", &l.TCPBacklog, integer(1, 65535))
	set(t, "udp_receive_buffer", &l.UDPReceiveBuffer, size("64KiB", "1GiB"))
	set(t, "max_flows", &l.MaxFlows, integer(1, 1<<24))
	t.done()
	return l
}

func readSteering(t *table) Steering {
	s := Steering{ManageRoutes: true, Pin: PinAuto, Unmatched: Refuse}
	set(t, "manage_routes", &s.ManageRoutes, boolean)
	set(t, "user", &s.User, userName)
	set(t, "pin", &s.Pin, pinPath)
	set(t, "unmatched", &s.Unmatched, oneOf(Refuse, Drop, Pass))
	set(t, "allow_loopback", &s.AllowLoopback, boolean)
	set(t, "shadow_listeners", &s.ShadowListeners, boolean)
	t.done()
	return s
}

func readAdmin(t *table) Admin {
	a := Admin{Socket: DefaultAdminSocket}
	set(t, "socket", &a.Socket, socketPath)
	set(t, "http", &a.HTTP, hostPort)
	setList(t, "http_hosts", &a.HTTPHosts, hostName)
	t.done()
	return a
}

func readLog(t *table) Log {
	l := Log{Level: slog.LevelInfo, Format: "text"}
	set(t, "level", &l.Level, oneOf(slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError))
	set(t, "format", &l.Format, oneOf("text", "json"))
	set(t, "access", &l.Access, accessLog)
	t.done()
	return l
}

func readDefaults(t *table) Timeouts {
	d := Timeouts{
		Connect:   5 * time.Second,
		Idle:      time.Hour,
		Keepalive: 2 * time.Minute,
		HalfClose: time.Minute,
		Drain:     30 * time.Second,
	}
	readTimeouts(t, &d)
	t.done()
	return d
}

// readTimeouts reads the keys that stand in [defaults] and in a route alike.
func readTimeouts(t *table, d *Timeouts) {
	timeout := duration("1ms", "8760h")
	set(t, "connect_timeout", &d.Connect, timeout)
	set(t, "idle_timeout", &d.Idle, timeout)
	set(t, "udp_idle_timeout", &d.UDPIdle, orAuto(timeout))
	set(t, "keepalive", &d.Keepalive, orNone(duration("1s", "9h"))) // tcp(7): TCP_KEEPIDLE takes at most 32,767 s
	set(t, "half_close_timeout", &d.HalfClose, timeout)
	set(t, "drain_timeout", &d.Drain, duration("0s", "8760h"))
}

// userForm is a name as useradd(8) makes them, or a number.
var userForm = regexp.MustCompile(`^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})?$`)

func userName(value any) (string, error) {
	name, err := text(value)
	if err == nil && !userForm.MatchString(name) {
		err = wrong("User", value, "is not the name of a user", `write one such as "anyport", a number, or "" to stay`)
	}
	return name, err
}

// pinPath reads PinAuto or the path of a directory. A bpffs knows no names with a dot.
func pinPath(value any) (string, error) {
	path, err := text(value)
	switch {
	case err != nil || path == "" || path == PinAuto:
		return path, err
	case !filepath.IsAbs(path):
		return "", wrong("Path", value, "is not an absolute path", `begin it with a slash, or write "auto", or "" for none`)
	case strings.Contains(filepath.Base(path), "."):
		return "", wrong("Path", value, "has a dot in its last name, which a bpffs does not take", "leave it out")
	}
	return filepath.Clean(path), nil
}

// socketPath reads a path that fits sockaddr_un (unix(7): 108 bytes with the final
// NUL) and names a file, since an abstract socket has no permissions.
func socketPath(value any) (string, error) {
	path, err := text(value)
	if err != nil {
		return "", err
	}
	if len(path) > 107 {
		return "", wrong("Path", value, "is longer than a socket's path can be", "write at most 107 bytes")
	}
	if strings.HasPrefix(path, "unix:") {
		return "", wrong("Path", value, "is a URL", "write the path alone")
	}
	if strings.HasPrefix(path, "@") {
		return "", wrong("Path", value, "is an abstract socket, open to every user", "write the path of a file")
	}
	return path, nil
}

func hostPort(value any) (string, error) {
	address, err := text(value)
	if err != nil || address == "" {
		return "", err
	}
	if a, err := netip.ParseAddrPort(address); err != nil || a.Port() == 0 {
		return "", wrong("HostPort", value, "is not an address with a port", `write one such as "127.0.0.1:9765", or "" for none`)
	}
	return address, nil
}

func hostName(value any) (string, error) {
	name, err := text(value)
	if err == nil && !isName(name) {
		err = wrong("Name", value, "is not a DNS name", `write one without a port, such as "edge1.example.com"`)
	}
	return name, err
}

func accessLog(value any) (string, error) {
	path, err := text(value)
	if err != nil || path == "" || path == "stderr" || strings.Contains(path, "/") {
		return path, err
	}
	return "", wrong("Log", value, "is no place for the access log", `write "stderr", a path with a slash, or "" for none`)
}
