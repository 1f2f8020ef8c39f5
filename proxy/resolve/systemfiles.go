package resolve

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The files that say how the system resolves names.
const (
	HostsPath    = "/etc/hosts"
	SettingsPath = "/etc/resolv.conf"
)

// settings is /etc/resolv.conf (resolv.conf(5)).
type settings struct {
	servers  []string // with port; at least one
	search   []string
	timeout  time.Duration // of one question to one server
	attempts int           // rounds over all servers
	names    func(name string) []string
}

// Bounds of resolv.conf: those of glibc, save for the servers, of which it asks three.
const (
	maxServers  = 8
	maxTimeout  = 30
	maxAttempts = 5
	maxSearch   = 16
)

// parseSettings reads resolv.conf. Without a server in it, the one of this host is asked, as
// resolv.conf(5) has it.
func parseSettings(text []byte) settings {
	c, err := dns.ClientConfigFromReader(bytes.NewReader(withoutComments(text)))
	if err != nil { // only a line that is too long
		c = &dns.ClientConfig{Ndots: 1, Timeout: 5, Attempts: 2}
	}
	c.Search = slices.DeleteFunc(c.Search[:min(len(c.Search), maxSearch)], func(s string) bool { return s == "." || s == "" })
	s := settings{
		search:   c.Search,
		timeout:  time.Duration(min(c.Timeout, maxTimeout)) * time.Second,
		attempts: min(c.Attempts, maxAttempts),
		names:    c.NameList,
	}
	for _, server := range c.Servers {
		if addr, err := netip.ParseAddr(server); err == nil && len(s.servers) < maxServers {
			s.servers = append(s.servers, net.JoinHostPort(addr.String(), "53"))
		}
	}
	if len(s.servers) == 0 {
		s.servers = []string{"127.0.0.1:53"}
	}
	return s
}

// withoutComments drops what follows # or ; on a line: resolv.conf(5) knows comments only at the
// beginning of one, but whoever writes one behind a value means the same.
func withoutComments(text []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(text) {
		if cut := bytes.IndexAny(line, "#;"); cut >= 0 {
			line = append(line[:cut:cut], '\n')
		}
		kept = append(kept, line...)
	}
	return kept
}

// candidates are the fully qualified names that a name may stand for, in the order in which they are
// tried: those of the search list for a name with fewer dots than ndots.
func (s settings) candidates(name string) []string {
	var all []string
	for _, candidate := range s.names(name) {
		if candidate = dns.CanonicalName(candidate); isName(candidate) && !slices.Contains(all, candidate) {
			all = append(all, candidate)
		}
	}
	return all
}

// isName reports whether a name can be sent: a search list may make it too long.
func isName(name string) bool {
	_, ok := dns.IsDomainName(name)
	return ok && len(name) <= 255
}

// hosts is /etc/hosts: the addresses of names, in lower case and without the last dot.
type hosts map[string][]netip.Addr

// parseHosts reads hosts(5). A line that it cannot read is left out.
func parseHosts(text []byte) hosts {
	all := hosts{}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || addr.Zone() != "" {
			continue
		}
		for _, name := range fields[1:] {
			name = hostsKey(name)
			if !slices.Contains(all[name], addr.Unmap()) {
				all[name] = append(all[name], addr.Unmap())
			}
		}
	}
	for _, addrs := range all {
		slices.SortFunc(addrs, netip.Addr.Compare)
	}
	return all
}

// lookup returns the addresses of a name. localhost and the names below it never leave this host
// (RFC 6761 §6.3).
func (h hosts) lookup(name string) []netip.Addr {
	key := hostsKey(name)
	if addrs := h[key]; addrs != nil {
		return addrs
	}
	if key == "localhost" || strings.HasSuffix(key, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return nil
}

func hostsKey(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
