package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// readOrigins reads the key origins of r, whose ports are known by now.
func readOrigins(t *table, r *Route) {
	value, ok := t.take("origins")
	if !ok {
		return
	}
	list, ok := elements(value)
	if !ok {
		t.fault("origins", "%s is not a list: write [%[1]s]", show(value))
		return
	}
	first := map[Origin]int{}
	for i, element := range list {
		key := fmt.Sprintf("origins[%d]", i)
		o, ok := readOrigin(t, key, element)
		if !ok || !fitPorts(t, key, &o, r) {
			continue
		}
		place := Origin{Host: o.Host, Addr: o.Addr, Ports: o.Ports}
		if before, twice := first[place]; twice {
			t.fault(key, "%q stands at origins[%d] already: remove one, and give the other a weight", o.Text, before)
			continue
		}
		first[place] = i
		checkName(t, key, o)
		r.Origins = append(r.Origins, o)
	}
}

// readOrigin reads "10.0.0.5:80" or { address = "10.0.0.5:80", weight = 3, backup = true }.
func readOrigin(t *table, key string, value any) (Origin, bool) {
	values, isTable := value.(map[string]any)
	if !isTable {
		o, err := parseOrigin(value)
		if err != nil {
			t.fault(key, "%s", err)
		}
		return o, err == nil
	}
	o := Origin{Weight: 1}
	sub := newTable(t.report, "origin", t.route, key+".", values)
	if !sub.has("address") {
		t.fault(key, `has no address: write { address = "10.0.0.5:80" }`)
	}
	set(sub, "address", &o, parseOrigin)
	set(sub, "weight", &o.Weight, integer(0, 65535))
	set(sub, "backup", &o.Backup, boolean)
	sub.done()
	if !sub.sound("", "address", "weight", "backup") {
		t.faulty["origins"] = true
		return o, false
	}
	return o, sub.has("address")
}

const originForm = `write an address, "ADDRESS:PORT" or "ADDRESS:FIRST-LAST", an IPv6 address with a port in brackets`

// parseOrigin reads the string form of an origin, save Base.
func parseOrigin(value any) (Origin, error) {
	text, ok := value.(string)
	if !ok {
		return Origin{}, fmt.Errorf("%s is not an origin: %s, or a table", show(value), originForm)
	}
	o := Origin{Text: text, Weight: 1}
	address, ports, hasPorts := splitOrigin(text)
	if hasPorts {
		if o.Ports, ok = ParsePorts(ports); !ok {
			return o, fmt.Errorf("%s has no valid port: write one from 1 to 65535, or a range such as \"3000-4000\", after the colon", show(text))
		}
	}
	addr, err := netip.ParseAddr(address)
	if err != nil {
		if !isName(address) {
			return o, fmt.Errorf("%s is not an origin: %s", show(text), originForm)
		}
		o.Host = address
		return o, nil
	}
	o.Addr = addr
	return o, checkDialable(text, addr)
}

// splitOrigin cuts the ports off; an IPv6 address that has some is in brackets, and
// only then without them in what is returned.
func splitOrigin(text string) (address, ports string, hasPorts bool) {
	if rest, ok := strings.CutPrefix(text, "["); ok {
		address, after, closed := strings.Cut(rest, "]")
		ports, hasPorts := strings.CutPrefix(after, ":")
		if !closed || !strings.Contains(address, ":") || after != "" && !hasPorts {
			return text, "", false
		}
		return address, ports, hasPorts
	}
	if strings.Count(text, ":") > 1 {
		return text, "", false
	}
	return strings.Cut(text, ":")
}

func checkDialable(text string, addr netip.Addr) error {
	switch {
	case addr.Is4In6():
		return fmt.Errorf("%q is IPv4-mapped: write %s instead of %s", text, addr.Unmap(), addr)
	case addr.Zone() != "" || addr.Is6() && addr.IsLinkLocalUnicast():
		return fmt.Errorf("%q is link-local: give the origin an address that needs no interface", text)
	case addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%q is not the address of one host: write a unicast address", text)
	}
	return nil
}

// nameForm is a host name (RFC 1123, section 2.1) with the underscores that are in
// use; its last label holds a letter, lest a mistyped address pass for one.
var nameForm = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9-]{0,62}[A-Za-z][A-Za-z0-9-]{0,62}\.?$`)

func isName(text string) bool { return len(text) <= 253 && nameForm.MatchString(text) }

// fitPorts pairs an origin's range with the route's, one to one.
func fitPorts(t *table, key string, o *Origin, r *Route) bool {
	width := o.Ports.Width()
	if width == 1 || !t.sound("ports") {
		return true
	}
	if len(r.Ports) != 1 || r.Ports[0].Width() != width {
		t.fault(key, "%q maps a range of %d ports one to one: make ports a single range of %[2]d, or name one port here", o.Text, width)
		return false
	}
	o.Base = r.Ports[0].First
	return true
}
