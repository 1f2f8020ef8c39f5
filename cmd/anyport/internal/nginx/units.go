package nginx

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/proxyconf"
)

// units are those of nginx's times.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "M": 30 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
}

// parseTime reads "30s", "1h30m" or a number of seconds.
func parseTime(text string) (time.Duration, bool) {
	var sum time.Duration
	if text == "" {
		return 0, false
	}
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		rest := text[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "mshdwMy"))
		if letters > 1 && rest[:2] != "ms" {
			letters = 1
		}
		n, err := strconv.ParseInt(text[:digits], 10, 32)
		unit, known := units[rest[:letters]]
		if err != nil || !known || n > int64(math.MaxInt64/(2*unit)) {
			return 0, false
		}
		if sum += time.Duration(n) * unit; sum < 0 {
			return 0, false
		}
		text = strings.TrimLeft(rest[letters:], " ")
	}
	return sum, true
}

// parseRate reads "100k", "1m" or a number of bytes, a second, and writes it as anyport has it.
func parseRate(text string) (string, bool) {
	digits := strings.TrimRight(text, "kKmMgG")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, known := map[string]string{"": "B/s", "k": "KiB/s", "m": "MiB/s", "g": "GiB/s"}[strings.ToLower(text[len(digits):])]
	if err != nil || !known || n < 1 || unit == "B/s" && n < 1024 {
		return "", false
	}
	return fmt.Sprint(n, unit), true
}

// parseNetwork reads an address or a prefix, or all.
func parseNetwork(text string) ([]netip.Prefix, bool) {
	if text == "all" {
		return proxyconf.Everyone(), true
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return []netip.Prefix{proxyconf.Host(addr)}, true
	}
	p, err := netip.ParsePrefix(text)
	return []netip.Prefix{p.Masked()}, err == nil && !p.Addr().Is4In6()
}

// splitPort cuts the port off: what follows the last colon outside of brackets.
func splitPort(text string) (host, port string) {
	host = text
	if cut := strings.LastIndexAny(text, ":]"); cut >= 0 && text[cut] == ':' {
		host, port = text[:cut], text[cut+1:]
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port
}
