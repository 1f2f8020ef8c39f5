package nginx

import "strings"

// reasons are why directives are left, by their names.
var reasons = map[string]string{
	"access_log":                  "write access in [log] for a line for each conn",
	"allow":                       "no server that is read inherits it",
	"default":                     "no server that is read uses the map",
	"deny":                        "no server that is read inherits it",
	"error_log":                   "anyport logs to stderr",
	"geo":                         "no server that is read uses its variable by the dst",
	"geoip_country":               "anyport has no database of countries: see allow and deny",
	"geoip2":                      "anyport has no database of countries: see allow and deny",
	"hash":                        "no server that is read uses the upstream",
	"health_check":                "no server that is read inherits it",
	"health_check_timeout":        "write timeout in the health table",
	"keyval":                      "not layer 4",
	"limit_conn":                  "no server that is read inherits it",
	"limit_conn_dry_run":          "anyport has no dry run of a limit",
	"limit_conn_log_level":        "see anyport status",
	"limit_conn_status":           "not layer 4",
	"limit_conn_zone":             "no limit_conn that was imported uses it",
	"listen":                      "its server is left",
	"load_module":                 "a setting of nginx's process",
	"log_format":                  "the access log of anyport has a form of its own",
	"map":                         "no server that is read uses its variable by the dst",
	"map_hash_bucket_size":        "a setting of nginx's process",
	"map_hash_max_size":           "a setting of nginx's process",
	"match":                       "see send and expect in the health table",
	"open_log_file_cache":         "a setting of nginx's process",
	"preread_buffer_size":         "anyport waits for no bytes before it forwards",
	"preread_timeout":             "anyport waits for no bytes before it forwards",
	"proxy_bind":                  "not needed: the kernel chooses the address by default",
	"proxy_buffer_size":           "not needed: anyport splices bulk",
	"proxy_connect_timeout":       "no server that is read inherits it",
	"proxy_download_rate":         "bandwidth is for each direction of a TCP conn: write it if you want the same limit both ways",
	"proxy_half_close":            "not needed: anyport passes FIN on, see half_close_timeout",
	"proxy_next_upstream":         "not needed: a conn whose origin fails tries up to 3 others",
	"proxy_next_upstream_timeout": "a conn tries up to 3 other origins, each for connect_timeout",
	"proxy_next_upstream_tries":   "a conn tries up to 3 other origins",
	"proxy_pass":                  "its server is left",
	"proxy_protocol":              "not needed: off is the default",
	"proxy_protocol_timeout":      "write header_timeout",
	"proxy_requests":              "a flow of UDP ends after udp_idle_timeout",
	"proxy_responses":             "a flow of UDP ends after udp_idle_timeout",
	"proxy_session_drop":          `write on_down = "close"`,
	"proxy_socket_keepalive":      "not needed: keepalive is on, see its default",
	"proxy_timeout":               "no server that is read inherits it",
	"proxy_upload_rate":           "bandwidth is for each direction of a TCP conn: write it if you want the same limit both ways",
	"random":                      "no server that is read uses the upstream",
	"resolver":                    "anyport follows /etc/resolv.conf",
	"resolver_timeout":            "anyport follows /etc/resolv.conf",
	"return":                      "anyport answers nothing by itself",
	"server":                      "no server that is read uses it",
	"set":                         "anyport has no variables",
	"set_real_ip_from":            "no listen that is read has proxy_protocol",
	"split_clients":               "write weight at the origins",
	"ssl_preread":                 "anyport reads no TLS: it decides by the dst",
	"state":                       "anyport upgrade keeps states",
	"tcp_nodelay":                 "not needed: anyport sends what it has at once",
	"upstream":                    "no server that is read uses it",
	"variables_hash_bucket_size":  "a setting of nginx's process",
	"variables_hash_max_size":     "a setting of nginx's process",
	"worker_connections":          "anyport takes what its limit on open files allows",
	"worker_processes":            "anyport uses all cores: see workers in [listen]",
	"worker_rlimit_nofile":        "anyport raises its limit on open files itself",
	"user":                        "write user in [steering]",
	"pid":                         "anyport writes none: systemd knows its process",
	"daemon":                      "anyport stays in the foreground: start it by systemd",
	"zone":                        "not needed: the loops of anyport share what they know of origins",
	"upstream_conf":               "see anyport origin",
	"proxy_protocol_tlv":          "write proxy_tlvs",
}

// prefixReasons are why families of directives are left.
var prefixReasons = map[string]string{
	"ssl_":       "anyport does not end TLS",
	"proxy_ssl":  "anyport does not encrypt to origins",
	"js_":        "anyport runs no scripts",
	"lua_":       "anyport runs no scripts",
	"preread_by": "anyport runs no scripts",
	"content_by": "anyport runs no scripts",
}

// processReason is why a directive outside of stream is left.
func processReason(d *directive) string {
	if reason := reasons[d.name]; reason != "" {
		return reason
	}
	return "a setting of nginx's process"
}

// reasonFor is why a directive is left, if nothing marks it.
func reasonFor(d *directive) string {
	if reason := reasons[d.name]; reason != "" {
		return reason
	}
	for prefix, reason := range prefixReasons {
		if strings.HasPrefix(d.name, prefix) {
			return reason
		}
	}
	if strings.HasPrefix(d.Section, "map") || strings.HasPrefix(d.Section, "geo") {
		return "no server that is read uses its map by the dst"
	}
	return "anyport has no equal"
}
