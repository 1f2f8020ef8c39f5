package haproxy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
)

// balances are HAProxy's algorithms that anyport has too.
var balances = map[string]string{
	"roundrobin": "round_robin", "static-rr": "round_robin", "leastconn": "least_conn",
	"source": "source_hash", "first": "first", "random": "random",
}

// setBalance writes how origins are chosen.
func setBalance(f *proxyconf.Forwarding, back *settings) {
	d := back.last("balance")
	if d == nil {
		return
	}
	algorithm, _, _ := strings.Cut(d.word(1), "(")
	if algorithm == "hash" && d.word(2) == "src" {
		algorithm = "source"
	}
	if balance := balances[algorithm]; balance != "" {
		f.Set(d.Line, "balance", draft.Text(balance))
		return
	}
	d.Leave("%s is not known at layer 4: anyport balances round_robin", algorithm)
}

// setLimits writes the limits of a section that listens.
func setLimits(f *proxyconf.Forwarding, front *settings) {
	if d := front.last("maxconn"); d != nil {
		setCount(f, d, "max_conns", d.word(1))
		d.Differs("more conns are refused, and do not wait")
	}
	if d := front.last("rate-limit", "sessions"); d != nil {
		setCount(f, d, "new_conns_per_second", d.word(2))
		d.Differs("more conns are refused, and do not wait")
	}
}

// setCount writes a number; 0 means no limit, in HAProxy and in anyport.
func setCount(f *proxyconf.Forwarding, d *directive, key, text string) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= math.MaxInt32 {
		f.Set(d.Line, key, strconv.Itoa(n))
	}
}

// The bounds that package config has for the keys of timeouts.
const (
	shortest = time.Millisecond
	longest  = 8760 * time.Hour
)

// setTimeouts writes the timeouts whose meaning is nearest. In HAProxy a byte in either direction
// restarts those of the client and of the server, so the shorter one ends an idle conn, unless there
// is one for tunnels.
func setTimeouts(f *proxyconf.Forwarding, front, back *settings) {
	setTimeout(f, "connect_timeout", back.last("timeout", "connect"))
	client, server := front.last("timeout", "client"), back.last("timeout", "server")
	if d := back.last("timeout", "tunnel"); d != nil {
		setTimeout(f, "idle_timeout", d)
		for _, other := range []*directive{client, server} {
			if other != nil {
				other.Leave("idle_timeout is that of timeout tunnel, at %s", d.Place())
			}
		}
	} else {
		setOne(f, "idle_timeout", client, server, func(a, b time.Duration) bool { return a <= b })
	}
	setOne(f, "half_close_timeout", front.last("timeout", "client-fin"), back.last("timeout", "server-fin"),
		func(a, b time.Duration) bool { return a >= b })
}

// setOne writes one of two timeouts.
func setOne(f *proxyconf.Forwarding, key string, a, b *directive, first func(a, b time.Duration) bool) {
	if a == nil || b == nil {
		if a == nil {
			a = b
		}
		setTimeout(f, key, a)
		return
	}
	da, errA := parseTime(a.word(2))
	db, errB := parseTime(b.word(2))
	if errA == nil && errB == nil && !first(da, db) {
		a, b = b, a
	}
	setTimeout(f, key, a)
	if da == db {
		b.Became(key)
		return
	}
	b.Leave("%s is one for both sides: that of %s", key, a.Place())
}

// setTimeout writes a timeout, if anyport can have it.
func setTimeout(f *proxyconf.Forwarding, key string, d *directive) {
	if d == nil {
		return
	}
	duration, err := parseTime(d.word(2))
	switch {
	case err != nil:
		d.Leave("%v", err)
	case duration < shortest || duration > longest:
		d.Leave("%s is from 1ms to 8760h", key)
	default:
		f.Set(d.Line, key, proxyconf.Duration(duration))
	}
}

// setKeepalive writes after which time probes are sent. anyport sends them by default.
func setKeepalive(f *proxyconf.Forwarding, front, back *settings) {
	for _, of := range []struct {
		s    *settings
		name string
	}{{front, "clitcpka"}, {back, "srvtcpka"}, {front, "tcpka"}, {back, "tcpka"}} {
		if d := of.s.option(of.name); d != nil {
			d.Otherwise = "not needed: keepalive is on, see its default"
		}
		d := of.s.last(of.name + "-idle")
		if d == nil {
			continue
		}
		if duration, err := parseTime(d.word(1)); err == nil && duration >= time.Second && duration <= 9*time.Hour {
			f.Set(d.Line, "keepalive", proxyconf.Duration(duration))
		}
	}
}

// units are those of HAProxy's times.
var units = map[string]time.Duration{
	"us": time.Microsecond, "ms": time.Millisecond, "": time.Millisecond, "s": time.Second,
	"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// parseTime reads "30s", "1h", or milliseconds without a unit (section 2.5 of HAProxy's manual).
func parseTime(text string) (time.Duration, error) {
	digits := strings.TrimRight(text, "usmhd")
	unit, known := units[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n < 0 || n > math.MaxInt64/int64(24*time.Hour) {
		return 0, fmt.Errorf("%q is not a time", text)
	}
	return time.Duration(n) * unit, nil
}
