package proxyconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/draft"
	"anyport/config"
)

// Forwarding is where a route goes, and how: its keys without those of what it takes.
type Forwarding struct {
	Origins []Origin
	Keys    []Key           // besides origins and health
	Health  []draft.Setting // the [route.NAME.health] table; none: no checks

	// Notes are what the route does not do as before, for its comment: rules for clients that were left.
	Notes []string
}

// Key is a setting of a route.
type Key struct {
	draft.Setting
	Protocol config.Protocol // only for routes of this protocol; 0: for all
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
	f.Keys = slices.DeleteFunc(f.Keys, func(k Key) bool { return k.Key == name && k.Protocol == protocol })
	f.Keys = append(f.Keys, Key{draft.Setting{Key: name, Value: value}, protocol})
}

// Has reports whether a key is set.
func (f *Forwarding) Has(name string) bool {
	return slices.ContainsFunc(f.Keys, func(k Key) bool { return k.Key == name })
}

// SetHealth adds a key of the check, or replaces its value.
func (f *Forwarding) SetHealth(line *Line, name, value string) {
	line.Became("health." + name)
	for i, s := range f.Health {
		if s.Key == name {
			f.Health[i].Value = value
			return
		}
	}
	f.Health = append(f.Health, draft.Setting{Key: name, Value: value})
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
		return draft.Text(text)
	}
	table := "{ address = " + draft.Text(text)
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
	return draft.Text(text)
}

// CheckHost says why anyport cannot forward to the host of o; "" if it can.
func (o Origin) CheckHost() string {
	addr, err := netip.ParseAddr(o.Host)
	if o.Host == "" || o.Host == "*" || err == nil && addr.IsUnspecified() {
		return "it forwards to the client's dst, as a forward proxy: anyport is a reverse proxy"
	}
	alone, _ := Origin{Host: o.Host}.Text(nil)
	if err := config.CheckOrigin(alone); err != nil {
		return err.Error()
	}
	return ""
}
