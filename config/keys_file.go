package config

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// The keys outside the routes, in the order of reference.toml: what each is called, its
// default, the values that it takes, the field that holds it, and what its user must know.
var (
	listenSection = newSection("listen",
		valueKey("workers", `1`, integer(1, 1024), func(l *Listen) *int { return &l.Workers },
			`1 to 1024: sockets per protocol, a SO_REUSEPORT group if more than one`),
		valueKey("tcp_backlog", `4096`, integer(1, 65535), func(l *Listen) *int { return &l.TCPBacklog },
			`1 to 65535: conns that wait to be accepted; the sysctl net.core.somaxconn caps it`),
		valueKey("udp_receive_buffer", `"4MiB"`, size("64KiB", "1GiB"), func(l *Listen) *Size { return &l.UDPReceiveBuffer },
			`64KiB to 1GiB: for each UDP socket; small buffers lose datagrams in bursts`),
		valueKey("max_flows", `262144`, integer(1, 1<<24), func(l *Listen) *int { return &l.MaxFlows },
			`1 to 16777216: UDP flows of all routes at once, half a KiB each. Flows with a socket of their own (all but those with egress_prefixes or spp) are also limited by open files and local ports`),
	)

	steeringSection = newSection("steering",
		valueKey("manage_routes", `true`, boolean, func(s *Steering) *bool { return &s.ManageRoutes },
			`add a local route for each prefix that is not local yet (to lo if the steering is pinned, else to a device that ends with the process), restore routes that others remove, and remove only its own`),
		valueKey("unmatched", `"refuse"`, oneOf(Refuse, Drop, Pass), func(s *Steering) *Action { return &s.Unmatched },
			`a port of a served prefix that no route takes: refuse (RST or ICMP), drop (silence), pass (to the host's own listeners)`),
		valueKey("allow_loopback", `false`, boolean, func(s *Steering) *bool { return &s.AllowLoopback },
			`true: routes may serve 127.0.0.0/8 and ::1`),
		valueKey("shadow_listeners", `false`, boolean, func(s *Steering) *bool { return &s.ShadowListeners },
			`true: a route may take the port of another process's listener`),
		valueKey("user", `""`, userName, func(s *Steering) *string { return &s.User },
			`the user, by name or number, to switch to after set-up; "" keeps the current one. For the capabilities that are kept, see: anyport help run`),
		valueKey("pin", `"auto"`, pinPath, func(s *Steering) *string { return &s.Pin },
			`auto: pinned in a directory of its own in /sys/fs/bpf, if a bpffs is mounted there and anyport may write to it; the ports of a killed process refuse until it is back. A directory in a bpffs, such as "/sys/fs/bpf/anyport": pinned there, and kept after an orderly stop until anyport unload removes it. "": the steering ends with the process. Without a pin, nothing can be reached once the process is dead`),
	)

	adminSection = newSection("admin",
		valueKey("socket", `"`+DefaultAdminSocket+`"`, socketPath, func(a *Admin) *string { return &a.Socket },
			`at most 107 bytes: the unix socket that the commands talk to; "" for none`),
		valueKey("group", `""`, groupName, func(a *Admin) *string { return &a.Group },
			`a group, by name or number, whose members may also ask on the socket for what changes nothing (status, routes, origins, flows, top, explain); "" for none`),
		valueKey("http", `""`, hostPort, func(a *Admin) *string { return &a.HTTP },
			`an address with a port, such as "127.0.0.1:9765", for a dashboard, /metrics for Prometheus, and /api/status; "" for none. Everybody who can reach it can read it all without a password: keep it on loopback`),
		listKey("http_hosts", `[]`, hostName, func(a *Admin) *[]string { return &a.HTTPHosts },
			`DNS names that http answers to, in addition to addresses, localhost and the host's own name (hostname)`),
		valueKey("http_writes", `false`, boolean, func(a *Admin) *bool { return &a.HTTPWrites },
			`true: http also takes orders (drain, kill, origin, reload, confirm), from everybody who can reach it and sends the header "Anyport-Write: 1". Only root, or the user that anyport runs as, may order an upgrade, and only on the socket`),
	)

	logSection = newSection("log",
		valueKey("level", `"info"`, oneOf(slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError), func(l *Log) *slog.Level { return &l.Level },
			`debug, info, warn, error`),
		valueKey("format", `"text"`, oneOf("text", "json"), func(l *Log) *string { return &l.Format },
			`text, json`),
		valueKey("access", `""`, accessLog, func(l *Log) *string { return &l.Access },
			`a line for each conn and flow, and one a second for refused ones of the same kind: "stderr", a path with a slash, "journal" (fields ANYPORT_…), "syslog" (RFC 5424 to /dev/log), "syslog:udp://192.0.2.9:514", or tcp:// or unix://PATH there, or "" for none. After log rotation, SIGHUP opens the file again`),
		valueKey("access_sample", `"100%"`, percent, func(l *Log) *Percent { return &l.AccessSample },
			`"0%" to "100%", or a number from 0 to 1: the part of conns and flows that ended as they should which is logged. All others are always logged`),
		valueKey("access_progress", `"0s"`, orNone(duration("1s", "8760h")), func(l *Log) *time.Duration { return &l.AccessProgress },
			`1s to 8760h: time between lines about a conn or flow that goes on; 0s: only one at its end`),
	)

	fleetSection = newSection("fleet",
		valueKey("source", `""`, fleetSource, func(f *Fleet) *string { return &f.Source },
			`"etcd://HOST:PORT,HOST:PORT/PREFIX" or "https://HOST/PATH": where the routes come from; "" for those of this file. All other tables stay this host's own`),
		valueKey("host", `""`, fleetHost, func(f *Fleet) *string { return &f.Host },
			`this host's name in the fleet; "" for the hostname`),
		listKey("peers", `[]`, peerAddress, func(f *Fleet) *[]netip.Addr { return &f.Peers },
			`addresses of the other hosts on the backplane: packets of conns that are not here go to the host that has them, so conns survive when the routers hash in another way`),
		valueKey("device", `""`, deviceName, func(f *Fleet) *string { return &f.Device },
			`the network device of the backplane; its MTU should be 80 bytes larger than that of the others`),
		valueKey("key", `""`, keyFile, func(f *Fleet) *string { return &f.Key },
			`a file that only its owner may open (mode 0600), with a line of base64 for at least 16 bytes, the same on all hosts: peers prove themselves with it`),
		valueKey("source_ca", `""`, keyFile, func(f *Fleet) *string { return &f.SourceCA },
			`a file of the CA certificates that the source's is checked with; "": those of the system, and etcd:// without TLS`).apart(),
		valueKey("source_cert", `""`, keyFile, func(f *Fleet) *string { return &f.SourceCert },
			`a file with the certificate that this host shows to the source`),
		valueKey("source_cert_key", `""`, keyFile, func(f *Fleet) *string { return &f.SourceCertKey },
			`a file with the key of that certificate (mode 0600); "" where source_cert has it, too`),
		valueKey("source_credentials", `""`, keyFile, func(f *Fleet) *string { return &f.SourceCredentials },
			`a file that only its owner may open (mode 0600), with a line "USER:PASSWORD", or "Bearer TOKEN" for https://; reload reads these four files again`),
	)

	knockSection = newSection("knock",
		valueKey("port", `62201`, integer(1, 65535), func(k *Doorbell) *int { return &k.Port },
			`1 to 65535: UDP, on every served address of a route with knock = ["spa"]; nothing there is ever answered`),
		valueKey("keys", `""`, keyFile, func(k *Doorbell) *string { return &k.Keys },
			`a file that only its owner may open (mode 0600), with a line "NAME BASE64KEY" for each key; reload reads it again, so steering.user must be able to read it`),
	)

	announceSection = newSection("announce",
		valueKey("table", `0`, kernelTable, func(a *Announce) *int { return &a.Table },
			`a kernel routing table, not one that this host routes by: it has a route for each served prefix while this host can serve it, for BIRD or FRR to export; 0 for none`),
		valueKey("metric", `100`, integer(1, 1<<31-1-DrainMetric), func(a *Announce) *int { return &a.Metric },
			`of these routes; 1000 more while this host drains`),
		valueKey("min_hosts", `1`, integer(0, 1000), func(a *Announce) *int { return &a.MinHosts },
			`of a fleet with a source: at least this number of hosts goes on announcing, whatever their state`),
	)

	defaultsSection = newSection("defaults", timeoutKeys...)
)

// timeoutKeys can stand in [defaults] and in each route.
var timeoutKeys = func() []key[Timeouts] {
	timeout := duration("1ms", "8760h")
	return []key[Timeouts]{
		valueKey("connect_timeout", `"5s"`, timeout, func(t *Timeouts) *time.Duration { return &t.Connect },
			`1ms to 8760h, as are the next two: one dial of one origin`),
		valueKey("idle_timeout", `"1h"`, timeout, func(t *Timeouts) *time.Duration { return &t.Idle },
			`TCP: no byte in either direction`),
		valueKey("udp_idle_timeout", `"auto"`, orAuto(timeout), func(t *Timeouts) *time.Duration { return &t.UDPIdle },
			`UDP: no datagram in either direction; auto: 17s to dst port 53, 2m to 443, 1m to any other`),
		valueKey("keepalive", `"2m"`, orNone(duration("1s", "9h")), func(t *Timeouts) *time.Duration { return &t.Keepalive }, // tcp(7): TCP_KEEPIDLE takes at most 32,767 s
			`1s to 9h. TCP, both sides: send probes after this long without a byte; a peer that answers none of them for as long again is dead; 0s: no probes`),
		valueKey("half_close_timeout", `"60s"`, timeout, func(t *Timeouts) *time.Duration { return &t.HalfClose },
			`1ms to 8760h: one side has closed: how long the other may still send`),
		valueKey("drain_timeout", `"30s"`, duration("0s", "8760h"), func(t *Timeouts) *time.Duration { return &t.Drain },
			`0s to 8760h: how long a conn may outlive its route, or the order to stop`),
		valueKey("header_timeout", `"5s"`, timeout, func(t *Timeouts) *time.Duration { return &t.Header },
			`1ms to 8760h: TCP, accept_proxy: how long a peer has for its PROXY header`),
		valueKey("queue_timeout", `"1s"`, duration("1ms", "1h"), func(t *Timeouts) *time.Duration { return &t.Queued },
			`1ms to 1h: TCP, queue: how long a conn waits for an origin; it is then refused`),
	}
}()

// fileKeys are the keys of all sections, as a diff names them. [defaults] is not among them: what it
// changes shows in each route that inherits it.
var fileKeys = slices.Concat(
	within("listen.", listenSection.keys, func(c *Config) *Listen { return &c.Listen }),
	within("steering.", steeringSection.keys, func(c *Config) *Steering { return &c.Steering }),
	within("admin.", adminSection.keys, func(c *Config) *Admin { return &c.Admin }),
	within("log.", logSection.keys, func(c *Config) *Log { return &c.Log }),
	within("fleet.", fleetSection.keys, func(c *Config) *Fleet { return &c.Fleet }),
	within("knock.", knockSection.keys, func(c *Config) *Doorbell { return &c.Knock }),
	within("announce.", announceSection.keys, func(c *Config) *Announce { return &c.Announce }),
)
