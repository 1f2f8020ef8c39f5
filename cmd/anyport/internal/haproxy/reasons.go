package haproxy

import "strings"

// reasons are why directives are left, by their first words; the longest match counts.
var reasons = map[string]string{
	"acl":                         "no rule that was imported uses it",
	"backlog":                     "write tcp_backlog in [listen]",
	"bind-process":                "anyport is one process",
	"capture":                     "not layer 4",
	"compression":                 "not layer 4",
	"cookie":                      "cookies are not layer 4",
	"declare":                     "not layer 4",
	"default_backend":             "replaced, or its section is left",
	"default-server":              "no server that is read inherits it",
	"description":                 "write a comment",
	"email-alert":                 "anyport sends no mail: alert on the metric anyport_origin_up",
	"errorfile":                   "not layer 4",
	"errorfiles":                  "not layer 4",
	"errorloc":                    "not layer 4",
	"external-check":              "anyport starts no program to check: see health.type",
	"filter":                      "anyport relays bytes as they are",
	"force-persist":               "anyport has no persistence but source_hash",
	"fullconn":                    "max_conns of an origin is fixed",
	"grace":                       "see drain_timeout",
	"guid":                        "a route has a name",
	"hash-balance-factor":         "source_hash is consistent, without a bound on an origin's share",
	"hash-preserve-affinity":      "source_hash is consistent",
	"hash-type":                   "source_hash is consistent",
	"http-check":                  "only with option httpchk and a server with check",
	"http-request":                "not layer 4",
	"http-response":               "not layer 4",
	"http-after-response":         "not layer 4",
	"http-reuse":                  "not layer 4",
	"http-error":                  "not layer 4",
	"id":                          "a route has a name",
	"ignore-persist":              "anyport has no persistence but source_hash",
	"load-server-state-from-file": "anyport upgrade keeps states",
	"log":                         "write access in [log] for a line for each conn",
	"log-format":                  "the access log of anyport has a form of its own",
	"log-format-sd":               "the access log of anyport has a form of its own",
	"log-tag":                     "the access log of anyport has a form of its own",
	"error-log-format":            "the access log of anyport has a form of its own",
	"max-keep-alive-queue":        "not layer 4",
	"max-session-srv-conns":       "not layer 4",
	"maxconn":                     "only of a section that listens",
	"mode":                        "not needed: anyport relays TCP",
	"monitor-net":                 "not layer 4",
	"monitor-uri":                 "not layer 4",
	"option abortonclose":         "not needed: anyport gives up the origin when the client resets",
	"option allbackups":           "not needed: all backups are used",
	"option checkcache":           "not layer 4",
	"option contstats":            "not needed: anyport counts bytes as they pass",
	"option dontlog-normal":       "the access log has all conns",
	"option dontlognull":          "the access log has all conns",
	"option forwardfor":           "not layer 4: proxy_protocol names the client",
	"option http":                 "not layer 4",
	"option independent-streams":  "idle_timeout is for both directions",
	"option log-health-checks":    "not needed: anyport logs when an origin goes up or down",
	"option log-separate-errors":  "the access log has all conns",
	"option logasap":              "the access log has a line at the end of each conn",
	"option nolinger":             "anyport passes FIN and RST on",
	"option persist":              "a conn goes to another origin if its own is down",
	"option redispatch":           "not needed: a conn whose origin fails tries up to 3 others",
	"option socket-stats":         "see anyport status",
	"option splice":               "not needed: anyport splices bulk",
	"option srvtcpka":             "not needed: keepalive is on, see its default",
	"option clitcpka":             "not needed: keepalive is on, see its default",
	"option tcpka":                "not needed: keepalive is on, see its default",
	"option tcp-smart":            "not needed: anyport sends what it has at once",
	"option tcplog":               "write access in [log] for a line for each conn",
	"option httplog":              "write access in [log] for a line for each conn",
	"option originalto":           "not layer 4: proxy_protocol names the dst",
	"option external-check":       "anyport starts no program to check: see health.type",
	"persist":                     "not layer 4",
	"rate-limit":                  "only of a section that listens",
	"redirect":                    "not layer 4",
	"retries":                     "not needed: a conn whose origin fails tries up to 3 others",
	"retry-on":                    "not needed: a conn whose origin fails tries up to 3 others",
	"server":                      "its section is left",
	"stats":                       "see anyport status, and http in [admin]",
	"stick-table":                 "anyport has no stick-tables: see max_conns_per_client and new_conns_per_second_per_client",
	"stick":                       `anyport has no stick-tables: balance = "source_hash" keeps a client with an origin`,
	"tcp-check":                   "only with option tcp-check and a server with check",
	"tcp-request inspect-delay":   "anyport waits for no bytes before it forwards",
	"tcp-request":                 "anyport decides by addresses and dst ports only",
	"tcp-response":                "anyport relays bytes as they are",
	"timeout check":               "no server has check",
	"timeout http":                "not layer 4",
	"timeout queue":               "no server has maxconn, so no conn waits",
	"timeout tarpit":              "anyport has no tarpit",
	"timeout client-hs":           "anyport does not end TLS",
	"timeout":                     "replaced, or of a section that is not read",
	"unique-id":                   `write proxy_tlvs = ["unique-id"] for one in the PROXY header`,
	"use-server":                  "anyport chooses an origin by balance",
	"use_backend":                 "its section is left",
	"no option":                   "not needed: the option is off in anyport too",
	"no log":                      "not needed: there is no access log by default",
}

// globalReasons are why lines of the global section are left.
var globalReasons = map[string]string{
	"maxconn":   "anyport takes what its limit on open files allows: see max_conns of routes",
	"user":      "write user in [steering]",
	"group":     "anyport switches to the groups of user in [steering]",
	"chroot":    "anyport drops its capabilities instead",
	"daemon":    "anyport stays in the foreground: start it by systemd",
	"stats":     "see socket in [admin]",
	"log":       "anyport logs to stderr",
	"nbthread":  "anyport uses all cores: see workers in [listen]",
	"nbproc":    "anyport is one process",
	"cpu-map":   "anyport uses all cores",
	"lua-load":  "anyport runs no scripts",
	"setenv":    "not needed: the lines below are read with it",
	"presetenv": "not needed: the lines below are read with it",
	"ulimit-n":  "anyport raises its limit on open files itself",
	"pidfile":   "anyport writes none: systemd knows its process",
}

// reasonFor is why a line is left, if nothing marks it.
func reasonFor(kind string, d *directive) string {
	if kind == "global" {
		if reason := globalReasons[d.words[0]]; reason != "" {
			return reason
		}
		return "a setting of HAProxy's process"
	}
	best, reason := -1, "anyport has no equal"
	text := strings.Join(d.words, " ")
	for words, why := range reasons {
		if len(words) > best && strings.HasPrefix(text, words) {
			best, reason = len(words), why
		}
	}
	if kind == "defaults" && best < 0 {
		return "no section that is read needs it"
	}
	return reason
}
