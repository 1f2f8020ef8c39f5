package config

import (
	"regexp"
	"time"
)

// unsupported are the keys whose behaviour this version lacks. Each is checked as
// it will be; then all but its default is an error, so that nobody relies on a key
// that does nothing. To support one, move it from here to the keys of its table.
var unsupported = []struct {
	table, key string
	check      func(t *table, key string)
}{
	{"route", "on_all_down", unless("try", oneOf("try", "refuse"))},
	{"route", "on_down", unless("keep", oneOf("keep", "close"))},
	{"route", "transparent", unless(false, boolean)},
	{"route", "accept_proxy", unlessEmpty(peerPrefix)},
	{"route", "proxy_tlvs", unlessEmpty(proxyTLV)},
	{"route", "bandwidth", unless("", bandwidth)},
	{"route", "route_bandwidth", unless("", bandwidth)},
	{"route", "health", checkHealth},
}

// removed are keys that an earlier version had, with what to write instead.
var removed = map[string]string{
	"route.reflectors": `is not a key any more: "all" takes the UDP ports of known reflectors, too; remove it, or write except_ports = ["reflectors"] to leave these ports out`,
}

const notYet = "not supported yet in this version"

func checkUnsupported(t *table) {
	for _, u := range unsupported {
		if u.table == t.kind {
			u.check(t, u.key)
		}
	}
}

func unless[T comparable](fallback T, parse func(any) (T, error)) func(*table, string) {
	return func(t *table, key string) {
		got := fallback
		set(t, key, &got, parse)
		if got != fallback {
			t.fault(key, "%s is %s; remove it", show(t.values[key]), notYet)
		}
	}
}

func unlessEmpty[T comparable](parse func(any) (T, error)) func(*table, string) {
	return func(t *table, key string) {
		var got []T
		setList(t, key, &got, parse)
		if len(got) > 0 {
			t.fault(key, "a list with elements is %s; remove it", notYet)
		}
	}
}

func checkHealth(t *table, key string) {
	h := t.sub(key)
	var (
		interval, timeout time.Duration
		rise, fall, port  int
	)
	set(h, "interval", &interval, duration("100ms", "1h"))
	set(h, "timeout", &timeout, duration("1ms", "1h"))
	set(h, "rise", &rise, integer(1, 1000))
	set(h, "fall", &fall, integer(1, 1000))
	set(h, "port", &port, integer(0, 65535))
	h.done()
	if h.values != nil {
		t.fault(key, "health checks are %s; remove it", notYet)
	}
}

// checkName refuses an origin that is given by a DNS name.
func checkName(t *table, key string, o Origin) {
	if o.Host == "" {
		return
	}
	name := mistake{want: "Host", found: show(o.Text) + " is a DNS name, " + notYet, cure: "write its address"}
	t.refuse(key, o.Text, name, element, func(value any) bool {
		other, err := parseOrigin(value)
		return err == nil && other.Host == ""
	})
}

func bandwidth(value any) (string, error) {
	rate, _ := value.(string)
	if rate == "" && value == any("") {
		return "", nil
	}
	if n, ok := parseRate(value); !ok || n == 0 {
		return "", wrong("Rate", value, "is not a bandwidth", `write a size a second, such as "10MiB/s", or "" for no limit`)
	}
	return rate, nil
}

var tlvForm = regexp.MustCompile(`^0x(E[0-9A-F])=(.*)$`)

// proxyTLV reads a TLV of the PROXY protocol, v2, section 2.2: 0xE0 to 0xEF are
// those for private use.
func proxyTLV(value any) (string, error) {
	tlv, _ := value.(string)
	switch tlv {
	case "unique-id", "authority", "crc32c":
		return tlv, nil
	}
	if !tlvForm.MatchString(tlv) {
		return "", wrong("TLV", value, "is not a TLV", `write "unique-id", "authority", "crc32c", or text with a type from 0xE0 to 0xEF such as "0xE1=text"`)
	}
	return tlv, nil
}
