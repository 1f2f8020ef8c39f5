package haproxy

import (
	"time"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
)

// setServerKeys writes the keys that HAProxy has at each server, and anyport at the route.
func setServerKeys(f *proxyconf.Forwarding, servers []*server) {
	for _, s := range servers {
		if p, ok := s.get("slowstart"); ok && !f.Has("slow_start") {
			if d, err := parseTime(p.value()); err == nil && d <= 24*time.Hour {
				f.Set(p.line.Line, "slow_start", proxyconf.Duration(d))
			}
		}
		if p, ok := s.get("on-marked-down"); ok && p.value() == "shutdown-sessions" {
			f.Set(p.line.Line, "on_down", draft.Text("close"))
		}
	}
}

// written are the parameters of a server that other functions have read.
var written = set(`check inter rise fall port weight backup maxconn maxqueue disabled enabled slowstart send-proxy send-proxy-v2
	send-proxy-v2-ssl send-proxy-v2-ssl-cn proxy-v2-options source check-send-proxy check-ssl on-marked-down`)

// paramReasons are why other parameters are left.
var paramReasons = map[string]string{
	"addr":                "a check goes to the origin's own address",
	"agent-check":         "anyport asks no agent: use anyport origin to change a weight",
	"agent-addr":          "anyport asks no agent",
	"agent-inter":         "anyport asks no agent",
	"agent-port":          "anyport asks no agent",
	"agent-send":          "anyport asks no agent",
	"cookie":              "cookies are not layer 4",
	"downinter":           "a check has one interval",
	"fastinter":           "a check has one interval",
	"error-limit":         "anyport ejects an origin after 3 failed dials in a row",
	"id":                  "an origin is named by its address",
	"init-addr":           "names are resolved before anyport serves",
	"minconn":             "max_conns of an origin is fixed",
	"observe":             "anyport ejects an origin after 3 failed dials in a row",
	"on-error":            "anyport ejects an origin after 3 failed dials in a row",
	"on-marked-up":        "conns stay with their origin when another one comes back",
	"resolve-prefer":      "anyport dials the better of an IPv4 and an IPv6 address",
	"resolve-opts":        "anyport follows /etc/resolv.conf",
	"resolvers":           "anyport follows /etc/resolv.conf",
	"track":               "routes with equal checks of an address share them",
	"non-stick":           "anyport has no stick-tables",
	"verify":              "only with ssl",
	"sni":                 "only with ssl",
	"ca-file":             "only with ssl",
	"check-sni":           "the certificate of a check is not verified",
	"alpn":                "only with ssl",
	"tfo":                 "anyport has no TCP fast open",
	"init-state":          "an origin is up until its checks fail",
	"no-backup":           "not needed",
	"tcp-ut":              "keepalive finds peers that do not answer",
	"namespace":           "anyport dials from its own network namespace",
	"socks4":              "anyport dials origins directly",
	"shutdown-backup":     "conns stay with their origin",
	"no-check":            "not needed",
	"no-send-proxy":       "not needed",
	"no-send-proxy-v2":    "not needed",
	"no-ssl":              "not needed: anyport encrypts nothing",
	"stick":               "anyport has no stick-tables",
	"check-via-socks4":    "anyport dials origins directly",
	"pool-max-conn":       "not layer 4",
	"pool-purge-delay":    "not layer 4",
	"max-reuse":           "not layer 4",
	"proto":               "not layer 4",
	"check-proto":         "not layer 4",
	"ws":                  "not layer 4",
	"hash-key":            "source_hash hashes the origin's address",
	"guid":                "an origin is named by its address",
	"log-proto":           "not layer 4",
	"redir":               "not layer 4",
	"pool-low-conn":       "not layer 4",
	"pool-conn-name":      "not layer 4",
	"check-alpn":          "not layer 4",
	"resolve-net":         "anyport dials the better of an IPv4 and an IPv6 address",
	"tls-tickets":         "only with ssl",
	"no-tls-tickets":      "only with ssl",
	"shard":               "not layer 4",
	"strict-maxconn":      "max_conns of an origin is exact",
	"idle-ping":           "not layer 4",
	"quic-cc-algo":        "not layer 4",
	"force-tlsv12":        "only with ssl",
	"no-tlsv10":           "only with ssl",
	"no-tlsv11":           "only with ssl",
	"no-sslv3":            "only with ssl",
	"ssl-min-ver":         "only with ssl",
	"ssl-max-ver":         "only with ssl",
	"ciphers":             "only with ssl",
	"ciphersuites":        "only with ssl",
	"crt":                 "only with ssl",
	"crl-file":            "only with ssl",
	"verifyhost":          "only with ssl",
	"allow-0rtt":          "only with ssl",
	"no-verifyhost":       "only with ssl",
	"no-stick":            "not needed",
	"no-agent-check":      "not needed",
	"no-tfo":              "not needed",
	"no-check-ssl":        "not needed",
	"no-check-send-proxy": "not needed",
}

// explainParams names the parameters of servers that nothing has read.
func explainParams(back *settings, servers []*server) {
	for _, s := range servers {
		for _, p := range s.params {
			switch {
			case written[p.name]:
				explainWritten(s, p)
			case paramReasons[p.name] != "":
				p.line.Leave("%s: %s", p.text(), paramReasons[p.name])
			default:
				p.line.Leave("%s: anyport has no equal", p.text())
			}
		}
	}
	for _, d := range back.each("default-server") {
		d.Otherwise = "replaced by the servers' own parameters"
	}
}

// explainWritten names a parameter that would be read in another place, or with another one.
func explainWritten(s *server, p param) {
	switch p.name {
	case "inter", "rise", "fall", "port", "check-send-proxy", "check-ssl":
		if !s.has("check") {
			p.line.Leave("%s: without check", p.text())
		}
	case "on-marked-down":
		if p.value() != "shutdown-sessions" {
			p.line.Leave("%s has no equal", p.text())
		}
	case "maxqueue":
		if s.origin.MaxConns == 0 {
			p.line.Leave("%s: without maxconn no conn waits", p.text())
		}
	case "backup", "weight", "maxconn", "disabled":
		p.line.Became("origins")
	}
}
