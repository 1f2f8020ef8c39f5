package config

import (
	"fmt"
	"strconv"
	"strings"
)

// fileKeys are the keys outside the routes. [defaults] is not among them: what it
// changes shows in each route that inherits it.
var fileKeys = []key[*Config]{
	{"listen.workers", func(c *Config) string { return strconv.Itoa(c.Listen.Workers) }},
	{"listen.tcp_backlog", func(c *Config) string { return strconv.Itoa(c.Listen.TCPBacklog) }},
	{"listen.udp_receive_buffer", func(c *Config) string { return fmt.Sprint(c.Listen.UDPReceiveBuffer) }},
	{"listen.max_flows", func(c *Config) string { return strconv.Itoa(c.Listen.MaxFlows) }},
	{"steering.manage_routes", func(c *Config) string { return strconv.FormatBool(c.Steering.ManageRoutes) }},
	{"steering.user", func(c *Config) string { return strconv.Quote(c.Steering.User) }},
	{"steering.pin", func(c *Config) string { return strconv.Quote(c.Steering.Pin) }},
	{"steering.unmatched", func(c *Config) string { return strconv.Quote(c.Steering.Unmatched.String()) }},
	{"steering.allow_loopback", func(c *Config) string { return strconv.FormatBool(c.Steering.AllowLoopback) }},
	{"steering.shadow_listeners", func(c *Config) string { return strconv.FormatBool(c.Steering.ShadowListeners) }},
	{"admin.socket", func(c *Config) string { return strconv.Quote(c.Admin.Socket) }},
	{"admin.http", func(c *Config) string { return strconv.Quote(c.Admin.HTTP) }},
	{"admin.http_hosts", func(c *Config) string { return stringList(c.Admin.HTTPHosts) }},
	{"log.level", func(c *Config) string { return strconv.Quote(strings.ToLower(c.Log.Level.String())) }},
	{"log.format", func(c *Config) string { return strconv.Quote(c.Log.Format) }},
	{"log.access", func(c *Config) string { return strconv.Quote(c.Log.Access) }},
}

// routeKeys are the keys of a route but for its prefixes.
var routeKeys = []key[*Route]{
	{"protocol", func(r *Route) string { return list(r.Protocols) }},
	{"ports", func(r *Route) string { return list(r.Ports) }},
	{"except_ports", func(r *Route) string { return list(exceptions(r)) }},
	{"action", func(r *Route) string { return strconv.Quote(r.Action.String()) }},
	{"origins", origins},
	{"balance", func(r *Route) string { return strconv.Quote(string(r.Balance)) }},
	{"proxy_protocol", func(r *Route) string { return strconv.Quote(string(r.ProxyProtocol)) }},
	{"source", func(r *Route) string { return list(r.Source) }},
	{"egress_prefixes", func(r *Route) string { return list(r.EgressPrefixes) }},
	{"allow", func(r *Route) string { return list(r.Allow) }},
	{"deny", func(r *Route) string { return list(r.Deny) }},
	{"denied", func(r *Route) string { return strconv.Quote(r.Denied.String()) }},
	{"max_conns", func(r *Route) string { return strconv.Itoa(r.MaxConns) }},
	{"max_conns_per_client", func(r *Route) string { return strconv.Itoa(r.MaxConnsPerClient) }},
	{"max_flows", func(r *Route) string { return strconv.Itoa(r.MaxFlows) }},
	{"max_flows_per_client", func(r *Route) string { return strconv.Itoa(r.MaxFlowsPerClient) }},
	{"new_conns_per_second", func(r *Route) string { return strconv.Itoa(r.NewConnsPerSecond) }},
	{"datagrams_per_second", func(r *Route) string { return strconv.Itoa(r.DatagramsPerSecond) }},
	{"mirror_closed", func(r *Route) string { return strconv.FormatBool(r.MirrorClosed) }},
	{"anti_amplification", func(r *Route) string { return strconv.FormatBool(r.AntiAmplification) }},
	{"amplification_budget", func(r *Route) string { return strconv.Quote(r.AmplificationBudget.String()) }},
	{"connect_timeout", func(r *Route) string { return strconv.Quote(r.Connect.String()) }},
	{"idle_timeout", func(r *Route) string { return strconv.Quote(r.Idle.String()) }},
	{"udp_idle_timeout", udpIdle},
	{"keepalive", func(r *Route) string { return strconv.Quote(r.Keepalive.String()) }},
	{"half_close_timeout", func(r *Route) string { return strconv.Quote(r.HalfClose.String()) }},
	{"drain_timeout", func(r *Route) string { return strconv.Quote(r.Drain.String()) }},
}

// stringList is how a file writes a list of strings.
func stringList(all []string) string {
	quoted := make([]string, len(all))
	for i, name := range all {
		quoted[i] = strconv.Quote(name)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// exceptions are the elements of except_ports.
func exceptions(r *Route) (all []exception) {
	for _, ports := range r.ExceptPorts {
		all = append(all, exception{ports: ports})
	}
	if r.ExceptReflectors {
		all = append(all, exception{reflectors: true})
	}
	return all
}

// origins is how a file writes origins.
func origins(r *Route) string {
	all := make([]string, len(r.Origins))
	for i, o := range r.Origins {
		all[i] = strconv.Quote(o.Text)
		if o.Weight != 1 || o.Backup {
			all[i] = fmt.Sprintf("{ address = %q, weight = %d, backup = %t }", o.Text, o.Weight, o.Backup)
		}
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func udpIdle(r *Route) string {
	if r.UDPIdle == 0 {
		return `"auto"`
	}
	return strconv.Quote(r.UDPIdle.String())
}
