package nginx

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// setKeys writes the keys of a route that do not come from the upstream.
func (s *server) setKeys(f *proxyconf.Forwarding) {
	s.setHeader(f)
	s.setSource(f)
	s.setAccess(f)
	s.setLimits(f)
	s.setBandwidth(f)
	s.setTimeout(f, 0, "connect_timeout", s.last("proxy_connect_timeout"))
	if d := s.last("proxy_timeout"); d != nil {
		if s.takes(config.TCP) {
			s.setTimeout(f, config.TCP, "idle_timeout", d)
		}
		if s.takes(config.UDP) {
			s.setTimeout(f, config.UDP, "udp_idle_timeout", d)
		}
	}
	s.setHealth(f)
}

// setHeader writes the PROXY header, which nginx sends as v1.
func (s *server) setHeader(f *proxyconf.Forwarding) {
	d := s.on("proxy_protocol")
	if d == nil {
		return
	}
	if s.takes(config.TCP) {
		f.SetFor(config.TCP, d.Line, "proxy_protocol", draft.Text("v1"))
	}
	if s.takes(config.UDP) {
		d.Leave(`over UDP there is no v1: write proxy_protocol = "v2" if the servers read it`)
	}
}

// setSource writes where servers are dialled from.
func (s *server) setSource(f *proxyconf.Forwarding) {
	d := s.last("proxy_bind")
	if d == nil || d.arg(0) == "off" {
		return
	}
	host, port := splitPort(d.arg(0))
	switch addr, err := netip.ParseAddr(host); {
	case d.arg(1) == "transparent" && (host == "$remote_addr" || host == "${remote_addr}"):
		f.Set(d.Line, "transparent", "true")
	case err != nil || d.arg(1) != "" || port != "" && port != "0":
		d.Leave("anyport dials from a fixed address, or from the client's")
	case !familyFits(addr, f.Origins):
		d.Leave("not for all servers: a route has one list for all origins")
	default:
		f.Set(d.Line, "source", draft.List(addr.String()))
	}
}

// familyFits reports whether each origin can be dialled from source.
func familyFits(source netip.Addr, origins []proxyconf.Origin) bool {
	for _, o := range origins {
		if addr, err := netip.ParseAddr(o.Host); err == nil && addr.Is4() != source.Is4() {
			return false
		}
	}
	return true
}

// setAccess writes allow and deny, which nginx reads by the first match.
func (s *server) setAccess(f *proxyconf.Forwarding) {
	var rules []proxyconf.AccessRule
	lines := s.each("allow", "deny")
	for _, d := range lines {
		from, ok := parseNetwork(d.arg(0))
		if !ok {
			d.Leave("it is not an address")
			continue
		}
		rules = append(rules, proxyconf.AccessRule{From: from, Deny: d.name == "deny"})
	}
	allow, deny := proxyconf.Access(rules)
	var keys []string
	if len(allow) > 0 {
		f.Set(nil, "allow", proxyconf.Prefixes(allow))
		keys = append(keys, "allow")
	}
	if len(deny) > 0 {
		f.Set(nil, "deny", proxyconf.Prefixes(deny))
		keys = append(keys, "deny")
	}
	for _, d := range lines {
		if len(keys) == 0 {
			d.Otherwise = "not needed: everyone is let in"
		}
		d.Became(keys...)
	}
}

// setLimits writes limit_conn of a zone that is by the client.
func (s *server) setLimits(f *proxyconf.Forwarding) {
	for _, d := range s.each("limit_conn") {
		zone := s.zone(d.arg(0))
		n, err := strconv.Atoi(d.arg(1))
		switch {
		case zone == nil:
			d.Leave("its zone is not by the client's address: see max_conns")
		case err != nil || n < 1 || n > math.MaxInt32:
			d.Leave("it has no number")
		default:
			f.Set(d.Line, "max_conns_per_client", strconv.Itoa(n))
			zone.Became("max_conns_per_client")
		}
	}
}

// zone is the line of a zone, if it is by the client's address.
func (s *server) zone(name string) *directive {
	for _, d := range s.outer {
		if d.name != "limit_conn_zone" || !strings.HasPrefix(d.arg(1), "zone="+name+":") {
			continue
		}
		if key := strings.Trim(d.arg(0), "${}"); key == "binary_remote_addr" || key == "remote_addr" {
			return d
		}
	}
	return nil
}

// setBandwidth writes the rate, if it is the same in both directions.
func (s *server) setBandwidth(f *proxyconf.Forwarding) {
	up, down := s.last("proxy_upload_rate"), s.last("proxy_download_rate")
	if !s.takes(config.TCP) || up == nil || down == nil || up.arg(0) != down.arg(0) {
		return
	}
	if rate, ok := parseRate(up.arg(0)); ok {
		f.SetFor(config.TCP, up.Line, "bandwidth", draft.Text(rate))
		down.Became("bandwidth")
	}
}

// setTimeout writes a timeout, if anyport can have it.
func (s *server) setTimeout(f *proxyconf.Forwarding, protocol config.Protocol, key string, d *directive) {
	if d == nil {
		return
	}
	t, ok := parseTime(d.arg(0))
	if !ok || t < time.Millisecond || t > 8760*time.Hour {
		d.Leave("%s is from 1ms to 8760h", key)
		return
	}
	f.SetFor(protocol, d.Line, key, proxyconf.Duration(t))
}

// setHealth writes health_check of nginx Plus.
func (s *server) setHealth(f *proxyconf.Forwarding) {
	d := s.last("health_check")
	if d == nil {
		return
	}
	if s.takes(config.UDP) {
		d.Leave("over UDP a check needs an answer: write expect in the health table")
		return
	}
	if f.Origins[0].Port == 0 && !strings.Contains(d.Text, "port=") {
		d.Leave("the servers have the client's port: write the port to check")
		return
	}
	f.SetHealth(d.Line, "type", draft.Text("tcp"))
	f.SetHealth(nil, "interval", proxyconf.Duration(5*time.Second)) // nginx's default
	for _, p := range d.args {
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.Atoi(value)
		t, isTime := parseTime(value)
		switch {
		case name == "interval" && isTime && t >= 100*time.Millisecond && t <= time.Hour:
			f.SetHealth(d.Line, name, proxyconf.Duration(t))
		case name == "passes" && err == nil && n >= 1 && n <= 1000:
			f.SetHealth(d.Line, "rise", strconv.Itoa(n))
		case name == "fails" && err == nil && n >= 1 && n <= 1000:
			f.SetHealth(d.Line, "fall", strconv.Itoa(n))
		case name == "port" && err == nil && n >= 1 && n <= 65535:
			f.SetHealth(d.Line, "port", strconv.Itoa(n))
		default:
			d.Leave("%s has no equal", p)
		}
	}
}
