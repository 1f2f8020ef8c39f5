package proxyconf

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyport/config"
)

// Forwarding is where a route goes, and how: its keys without those of what it takes.
type Forwarding struct {
	Origins []Origin
	Keys    []Key // besides origins and health
	Health  []Key // the [route.NAME.health] table; none: no checks

	// Notes are what the route does not do as before, for its comment: rules for clients that were left.
	Notes []string
}

// Key is a line of TOML.
type Key struct {
	Name, Value string
	Protocol    config.Protocol // only for routes of this protocol; 0: for all
}

// Origin is a server.
type Origin struct {
	Host     string // an address without brackets, a name, or "srv:_…" without ports
	Port     int    // 0: the client's port, plus Shift
	Shift    int
	Weight   int // 1 is the default
	Backup   bool
	MaxConns int // 0: no limit
}

// Set adds a key, or replaces its value. The line becomes that key.
func (f *Forwarding) Set(line *Line, name, value string) {
	f.SetFor(0, line, name, value)
}

// SetFor is Set for routes of one protocol.
func (f *Forwarding) SetFor(protocol config.Protocol, line *Line, name, value string) {
	line.Became(name)
	f.Keys = slices.DeleteFunc(f.Keys, func(k Key) bool { return k.Name == name && k.Protocol == protocol })
	f.Keys = append(f.Keys, Key{name, value, protocol})
}

// Get is the value of a key; "" if it has none.
func (f *Forwarding) Get(name string) string { return get(f.Keys, name) }

// SetHealth adds a key of the check, or replaces its value.
func (f *Forwarding) SetHealth(line *Line, name, value string) {
	line.Became("health." + name)
	f.Health = slices.DeleteFunc(f.Health, func(k Key) bool { return k.Name == name })
	f.Health = append(f.Health, Key{Name: name, Value: value})
}

// GetHealth is the value of a key of the check; "" if it has none.
func (f *Forwarding) GetHealth(name string) string { return get(f.Health, name) }

func get(keys []Key, name string) string {
	for _, k := range keys {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

// Text is the origin as a route with these ports writes it; false if a shifted port is not one, or
// the ports are not a single range.
func (o Origin) Text(ports []config.PortRange) (string, bool) {
	host := o.Host
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "srv:") {
		host = "[" + host + "]"
	}
	switch {
	case o.Port > 0:
		return fmt.Sprintf("%s:%d", host, o.Port), true
	case o.Shift == 0:
		return host, true
	case len(ports) != 1:
		return "", false
	}
	first, last := int(ports[0].First)+o.Shift, int(ports[0].Last)+o.Shift
	return host + ":" + config.PortRange{First: uint16(first), Last: uint16(last)}.String(), 0 < first && last <= 65535
}

// value is the origin as an element of the key origins.
func (o Origin) value(text string) string {
	if o.Weight == 1 && !o.Backup && o.MaxConns == 0 {
		return String(text)
	}
	table := "{ address = " + String(text)
	if o.Weight != 1 {
		table += fmt.Sprintf(", weight = %d", o.Weight)
	}
	if o.Backup {
		table += ", backup = true"
	}
	if o.MaxConns > 0 {
		table += fmt.Sprintf(", max_conns = %d", o.MaxConns)
	}
	return table + " }"
}

// String is s as TOML. Go's quoting is TOML's, besides \a, \v and \x00.
func String(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// Int is n as TOML.
func Int(n int) string { return strconv.Itoa(n) }

// Duration is d as TOML, without the zeros that Go ends with: "1h" for "1h0m0s".
func Duration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-len(zero)+1]
		}
	}
	return String(text)
}

// Prefixes are prefixes as a list of TOML; single hosts without a length.
func Prefixes(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
		if p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return Strings(texts)
}

// Strings is a list of strings as TOML.
func Strings(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = String(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// nameForm is a host name (RFC 1123) with the underscores that are in use. Its last label has a letter.
var nameForm = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9-]{0,62}[A-Za-z][A-Za-z0-9-]{0,62}\.?$`)

// CheckHost says why anyport cannot forward to the host of o.
func (o Origin) CheckHost() string {
	addr, err := netip.ParseAddr(o.Host)
	switch {
	case o.Host == "" || o.Host == "*" || err == nil && addr.IsUnspecified():
		return "it forwards to the client's dst, as a forward proxy: anyport is a reverse proxy"
	case err == nil && (addr.Zone() != "" || addr.Is6() && addr.IsLinkLocalUnicast() || addr.Is4In6() || addr.IsMulticast()):
		return fmt.Sprintf("anyport cannot dial %s: write a unicast address that needs no interface", o.Host)
	case err == nil:
		return ""
	case len(o.Host) > 253 || !nameForm.MatchString(strings.TrimPrefix(o.Host, "srv:")):
		return fmt.Sprintf("%q is neither an address nor a name", o.Host)
	}
	return ""
}
