package haproxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
)

// setHealth writes how the servers are checked. A route has one check for all origins: that of the
// first server that has one.
func setHealth(f *proxyconf.Forwarding, back *settings, servers []*server, listens []proxyconf.Listen) {
	i := slices.IndexFunc(servers, func(s *server) bool { return s.has("check") })
	if i < 0 {
		leaveChecks(back, "no server has check")
		return
	}
	s := servers[i]
	port, reason := checkPort(s, servers, listens)
	if reason != "" {
		f.Notes = append(f.Notes, "not imported, the check: "+reason)
		s.Leave("check: %s", reason)
		leaveChecks(back, reason)
		return
	}
	p, _ := s.get("check")
	f.SetHealth(p.line.Line, "type", draft.Text("tcp"))
	setCheckType(f, back, s)
	setCheckTimes(f, back, s)
	if port > 0 {
		f.SetHealth(nil, "port", strconv.Itoa(port))
	}
	setCheckHeader(f, s)
	for _, other := range servers {
		if !other.has("check") {
			other.Differs("it had no check: anyport checks all origins of a route")
			continue
		}
		otherCheck(s, other)
	}
}

// checkKeys are the parameters of a check, with the keys that they become.
var checkKeys = [][2]string{
	{"inter", "interval"}, {"rise", "rise"}, {"fall", "fall"}, {"port", "port"},
	{"check-send-proxy", "proxy_protocol"}, {"check-ssl", "type"},
}

// otherCheck names what differs between the check of the route and that of another server.
func otherCheck(s, other *server) {
	p, _ := other.get("check")
	p.line.Became("health.type")
	for _, k := range checkKeys {
		name, key := k[0], k[1]
		a, hasA := s.get(name)
		b, hasB := other.get(name)
		if hasB {
			b.line.Became("health." + key)
		}
		if hasA != hasB || a.value() != b.value() {
			other.Differs("its %s is not that of %s: anyport has one check for all origins of a route", name, s.word(1))
		}
	}
}

// checkPort is the port to check: 0 for the origin's own. An origin with the client's port needs one,
// and package config refuses a check without it.
func checkPort(s *server, servers []*server, listens []proxyconf.Listen) (int, string) {
	if p, ok := s.get("port"); ok {
		n, err := strconv.Atoi(p.value())
		if err != nil || n < 1 || n > 65535 {
			return 0, fmt.Sprintf("port %q is none", p.value())
		}
		p.line.Became("health.port")
		return n, ""
	}
	anyPort := func(s *server) bool { return s.origin.Port == 0 && !strings.HasPrefix(s.origin.Host, "srv:") }
	if !slices.ContainsFunc(servers, anyPort) {
		return 0, ""
	}
	if len(listens) == 0 {
		return 0, "the servers have the client's port: write the port to check"
	}
	first := listens[0].Ports.First // HAProxy checks the first port that it listens on
	for _, l := range listens {
		if l.Ports.Width() > 1 || l.Ports.First != first {
			return 0, "the servers have the client's port: write the port to check"
		}
	}
	return int(first), ""
}

// setCheckTimes writes the times. Where none is written, HAProxy checks every two seconds.
func setCheckTimes(f *proxyconf.Forwarding, back *settings, s *server) {
	f.SetHealth(nil, "interval", proxyconf.Duration(2*time.Second))
	if p, ok := s.get("inter"); ok {
		setCheckTime(f, p.line, "interval", p.value(), 100*time.Millisecond)
	}
	if d := back.last("timeout", "check"); d != nil {
		setCheckTime(f, d, "timeout", d.word(2), time.Millisecond)
	}
	for _, name := range []string{"rise", "fall"} {
		p, ok := s.get(name)
		if n, err := strconv.Atoi(p.value()); ok && err == nil && n >= 1 && n <= 1000 {
			f.SetHealth(p.line.Line, name, strconv.Itoa(n))
		}
	}
}

func setCheckTime(f *proxyconf.Forwarding, d *directive, key, text string, least time.Duration) {
	duration, err := parseTime(text)
	if err == nil && least <= duration && duration <= time.Hour {
		f.SetHealth(d.Line, key, proxyconf.Duration(duration))
		return
	}
	d.Leave("%s %s: health.%s is from %s to 1h", key, text, key, least)
}

// setCheckHeader writes what comes before a check. HAProxy sends the route's header before a check, unless the check has a port of its
// own.
func setCheckHeader(f *proxyconf.Forwarding, s *server) {
	p, explicit := s.get("check-send-proxy")
	_, apart := s.get("port")
	switch {
	case explicit:
		p.line.Became("health.proxy_protocol")
	case apart && s.header != "off":
		f.SetHealth(nil, "proxy_protocol", draft.Text("off"))
	}
}

// checkOptions are the options that say what a check does.
var checkOptions = []string{"tcp-check", "httpchk", "ssl-hello-chk", "smtpchk", "mysql-check", "pgsql-check", "redis-check", "ldap-check", "external-check", "spop-check"}

// setCheckType writes what a check does: the last option counts.
func setCheckType(f *proxyconf.Forwarding, back *settings, s *server) {
	if p, ok := s.get("check-ssl"); ok {
		f.SetHealth(p.line.Line, "type", draft.Text("tls"))
	}
	var in *directive
	for _, d := range back.all {
		if d.begins("option") && slices.Contains(checkOptions, d.word(1)) {
			if in != nil {
				in.Otherwise = "replaced at " + d.Place()
			}
			in = d
		}
		if d.begins("no", "option") && in != nil && in.word(1) == d.word(2) {
			in, d.Otherwise = nil, "not needed: the option is off in anyport too"
		}
	}
	if in == nil {
		return
	}
	switch name := in.word(1); name {
	case "tcp-check":
		in.Became("health.type")
		setScript(f, back)
	case "httpchk":
		setHTTP(f, back, in)
	case "ssl-hello-chk":
		f.SetHealth(in.Line, "type", draft.Text("tls"))
	case "redis-check":
		f.SetHealth(in.Line, "send", draft.Text("*1\r\n$4\r\nPING\r\n"))
		f.SetHealth(in.Line, "expect", draft.Text("+PONG\r\n"))
	case "smtpchk":
		f.SetHealth(in.Line, "expect", draft.Text("220"))
		in.Leave("HELO is not sent: the greeting shows that the server is up")
	default:
		in.Leave("%s has no equal: anyport checks that a connection opens", name)
	}
}

// setHTTP writes a check over HTTP: GET of the path, with a status from 200 to 399.
func setHTTP(f *proxyconf.Forwarding, back *settings, d *directive) {
	f.SetHealth(d.Line, "type", draft.Text("http"))
	method, path, line := "OPTIONS", "/", d
	switch {
	case len(d.words) == 3:
		path = d.word(2)
	case len(d.words) > 3:
		method, path = d.word(2), d.word(3)
		if len(d.words) > 4 {
			d.Differs("the version and headers of the request are anyport's own")
		}
	}
	for _, c := range back.each("http-check", "send") {
		for i := 2; i+1 < len(c.words); i += 2 {
			switch c.words[i] {
			case "meth":
				method, line = c.words[i+1], c
			case "uri":
				path, line = c.words[i+1], c
			case "hdr":
				c.Differs("hdr %s: the headers of the request are anyport's own", c.words[i+1])
				i++
			case "ver":
				c.Differs("the version of the request is anyport's own")
			default:
				c.Leave("%s has no equal", c.words[i])
			}
		}
	}
	if method != "GET" {
		line.Differs("the method is GET, not %s", method)
	}
	if strings.HasPrefix(path, "/") && !strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		f.SetHealth(line.Line, "path", draft.Text(path))
	} else {
		line.Leave("%q is not a path", path)
	}
	for _, c := range back.each("http-check", "expect") {
		c.Became("health.type")
		c.Differs("a status from 200 to 399 is up")
	}
}

// leaveChecks leaves the lines that say how to check.
func leaveChecks(back *settings, reason string) {
	for _, d := range back.all {
		if d.begins("tcp-check") || d.begins("http-check") || d.begins("timeout", "check") ||
			d.begins("option") && slices.Contains(checkOptions, d.word(1)) {
			d.Otherwise = reason
		}
	}
}
