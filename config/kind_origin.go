package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"anyport/config/form"
	"anyport/config/habits"
)

// readOrigins reads the key origins of r. The ports of r must have been read: an origin with a
// range is paired with them. Origins that are equal except for weight and backup are refused:
// one of the two weights would be a mistake.
func readOrigins(t *table, r *Route) {
	value, ok := t.values["origins"]
	if !ok {
		return
	}
	list, ok := elements(value)
	if !ok {
		_, err := parseOrigin(value)
		t.refuse("origins", value, notList(value, err), habits.OnlyList, acceptsOrigin)
		return
	}
	first := map[Origin]int{}
	for i, element := range list {
		key := fmt.Sprintf("origins[%d]", i)
		o, ok := readOrigin(t, key, element)
		if !ok || !fitPorts(t, key, &o, r) {
			continue
		}
		place := Origin{Host: o.Host, SRV: o.SRV, Addr: o.Addr, Ports: o.Ports}
		if before, twice := first[place]; twice {
			t.fault(key, "%q is already at origins[%d]: remove one, and give the other a weight", o.Text, before)
			continue
		}
		first[place] = i
		r.Origins = append(r.Origins, o)
	}
}

// readOrigin reads "10.0.0.5:80" or { address = "10.0.0.5:80", weight = 3, backup = true }.
func readOrigin(t *table, key string, value any) (Origin, bool) {
	values, isTable := value.(map[string]any)
	if !isTable {
		o, err := parseOrigin(value)
		if err != nil {
			t.refuse(key, value, err, habits.Element, acceptsOrigin)
		}
		return o, err == nil
	}
	o := originSection.defaults
	sub := newTable(t.report, "origin", t.route, key+".", t.pathOf(key), values)
	sub.translate()
	if !sub.has("address") {
		t.fault(key, `has no address: write { address = "10.0.0.5:80" }`)
	}
	originSection.readInto(sub, &o)
	sub.reportUnknown()
	if !sub.valid("", "address", "weight", "backup", "max_conns") {
		t.faulty["origins"] = true
		return o, false
	}
	return o, sub.has("address")
}

// printOrigin is the string form where that says it all.
func printOrigin(o Origin) string {
	if o.Weight == 1 && !o.Backup && o.MaxConns == 0 {
		return strconv.Quote(o.Text)
	}
	limit := ""
	if o.MaxConns > 0 {
		limit = fmt.Sprintf(", max_conns = %d", o.MaxConns)
	}
	return fmt.Sprintf("{ address = %q, weight = %d, backup = %t%s }", o.Text, o.Weight, o.Backup, limit)
}

// acceptsOrigin reports whether value, a string or a table, can be an origin.
func acceptsOrigin(value any) bool {
	if origin, ok := value.(map[string]any); ok {
		value = origin["address"]
	}
	_, err := parseOrigin(value)
	return err == nil
}

// OriginPlaceholder stands for an origin in files that `anyport import` writes, where the rules do not
// say which server is behind the old daemon. In capitals: nobody calls a host so.
const OriginPlaceholder = "ORIGIN"

const originForm = `write an address or a DNS name, "ADDRESS:PORT" or "ADDRESS:FIRST-LAST", an IPv6 address with a port in brackets`

// CheckOrigin says why a text cannot stand for an origin, if it cannot.
func CheckOrigin(text string) error {
	_, err := parseOrigin(text)
	return err
}

// parseOrigin reads the string form of an origin, save Base.
func parseOrigin(value any) (Origin, error) {
	text, ok := value.(string)
	if !ok {
		return Origin{}, newRefusal("Origin", value, "is not an origin", originForm+", or a table")
	}
	o := Origin{Text: text, Weight: 1}
	if name, ok := strings.CutPrefix(text, srvPrefix); ok {
		return parseSRV(o, name)
	}
	address, ports, hasPorts := splitOrigin(text)
	if hasPorts {
		if o.Ports, ok = ParsePorts(ports); !ok {
			return o, newRefusal("Origin", value, "has no valid port", `write one from 1 to 65535, or a range such as "3000-4000", after the colon`)
		}
	}
	if address == OriginPlaceholder {
		return o, refusal{found: show(value) + " stands for an origin that is not known yet", final: true,
			cure: `write the address of the server in its place, such as "10.0.0.5" or "10.0.0.5:8080", or import again with --origin`}
	}
	addr, err := netip.ParseAddr(address)
	if err != nil {
		if !isName(address) {
			return o, newRefusal("Origin", value, "is not an origin", originForm)
		}
		o.Host = strings.ToLower(address)
		return o, nil
	}
	o.Addr = addr
	if err := checkAmbiguous(text, hasPorts); err != nil {
		return o, err
	}
	return o, checkDialable(text, addr)
}

// srvPrefix marks the name of SRV records. The underscore is part of it, because "srv:80" is port 80 of
// a host that is called srv.
const srvPrefix = "srv:_"

// parseSRV reads the name of SRV records (RFC 2782), without the underscore that it begins with. The
// records have the ports.
func parseSRV(o Origin, name string) (Origin, error) {
	service, rest, _ := strings.Cut("_"+name, ".")
	proto, domain, _ := strings.Cut(rest, ".")
	if service == "_" || len(proto) < 2 || proto[0] != '_' || domain == "" || !isName("_"+name) {
		return o, newRefusal("Origin", o.Text, "is not the name of SRV records", `write "srv:_SERVICE._PROTO.DOMAIN", without a port: the records have it`)
	}
	o.Host, o.SRV = strings.ToLower("_"+name), true
	return o, nil
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

// checkAmbiguous refuses an IPv6 address without brackets that is one also without its last
// group, if that could be a port: 2001:db8::5:80. It allows 2001:db8::5, because the rest
// 2001:db8: is not an address, and 2001:db8::5:a, 2001:db8::5:0 and 2001:db8::5:080, because
// nobody writes a port so.
func checkAmbiguous(text string, hasPorts bool) error {
	cut := strings.LastIndex(text, ":")
	if cut < 0 || hasPorts || strings.HasPrefix(text, "[") {
		return nil
	}
	head, last := text[:cut], text[cut+1:]
	ports, ok := ParsePorts(last)
	if addr, err := netip.ParseAddr(head); err != nil || !addr.Is6() || !ok || last != ports.String() {
		return nil
	}
	fix := fmt.Sprintf("%q", "["+head+"]:"+last)
	return refusal{found: fmt.Sprintf("%q can be read in two ways", text), fix: fix,
		cure: fmt.Sprintf("write %s for port %s of %s, or %q for the address and the client's port", fix, last, head, "["+text+"]")}
}

// checkDialable refuses addresses that no conn can be opened to. Link-local ones would need an
// interface, which an origin has no place for.
func checkDialable(text string, addr netip.Addr) error {
	switch {
	case addr.Is4In6():
		return refusal{want: "Host", found: fmt.Sprintf("%q is IPv4-mapped", text), cure: fmt.Sprintf("write %s instead of %s", addr.Unmap(), addr)}
	case addr.Zone() != "" || addr.Is6() && addr.IsLinkLocalUnicast():
		return refusal{found: fmt.Sprintf("%q is link-local", text), cure: "write an address that needs no interface"}
	case addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return refusal{want: "Host", found: fmt.Sprintf("%q is not the address of one host", text), cure: "write a unicast address"}
	}
	return nil
}

// nameForm is a host name (RFC 1123, section 2.1) with the underscores that are in
// use. Its last label holds a letter, so that a mistyped address is not taken for a name.
var nameForm = form.New(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9-]{0,62}[A-Za-z][A-Za-z0-9-]{0,62}\.?$`)

// mistypedForm is an IPv4 address with a letter in its last number, such as 10.0.0.l5.
var mistypedForm = form.New(`^\d+\.\d+\.\d+\.[0-9A-Za-z]{1,4}$`)

// isName bounds the length by that of a DNS name (RFC 1035, section 2.3.4).
func isName(text string) bool {
	return len(text) <= 253 && nameForm().MatchString(text) && !mistypedForm().MatchString(text)
}

// fitPorts pairs an origin's range with the route's, one to one.
func fitPorts(t *table, key string, o *Origin, r *Route) bool {
	width := o.Ports.Width()
	if width == 1 || !t.valid("ports") {
		return true
	}
	if len(r.Ports) != 1 || r.Ports[0].Width() != width {
		t.fault(key, "%q maps a range of %d ports one to one: make ports a single range of %[2]d, or name one port here", o.Text, width)
		return false
	}
	o.Base = r.Ports[0].First
	return true
}

// sourceAddr is an address of this host to dial origins from.
var sourceAddr = textual(pattern(addressForm), parseSourceAddr)

// parseSourceAddr cannot tell whether the address is this host's: bind(2) does, at the first dial.
func parseSourceAddr(value any) (netip.Addr, error) {
	text, _ := value.(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, newRefusal("Address", value, "is not an address", `write one of this host's, such as "10.0.0.2"`)
	}
	return addr, checkDialable(text, addr)
}
