package nginx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
)

// upstream is an upstream block.
type upstream struct{ *directive }

// upstream finds one by its name; nil if there is none.
func (r *reader) upstream(name string) *upstream {
	for _, d := range r.outer {
		if d.name == "upstream" && d.opens && d.arg(0) == name {
			return &upstream{d}
		}
	}
	return nil
}

// fill adds the servers and the balance.
func (u *upstream) fill(f *proxyconf.Forwarding) string {
	for _, d := range u.block {
		switch d.name {
		case "server":
			u.server(f, d)
		case "least_conn":
			f.Set(d.Line, "balance", draft.Text("least_conn"))
		case "least_time":
			f.Set(d.Line, "balance", draft.Text("least_conn"))
			d.Differs("anyport counts conns, and measures no times")
		case "random":
			f.Set(d.Line, "balance", draft.Text("random"))
		case "hash":
			if key := strings.Trim(d.arg(0), "${}"); key == "remote_addr" || key == "binary_remote_addr" {
				f.Set(d.Line, "balance", draft.Text("source_hash"))
			} else {
				d.Leave("anyport hashes the client's address only, and balances round_robin here")
			}
		}
	}
	if len(f.Origins) == 0 {
		return fmt.Sprintf("upstream %s has no server that anyport can use", u.arg(0))
	}
	u.Became("origins")
	return ""
}

// server adds one server, unless anyport cannot forward to it.
func (u *upstream) server(f *proxyconf.Forwarding, d *directive) {
	o, reason := parseOrigin(d.arg(0), false)
	if reason == "" && slices.ContainsFunc(f.Origins, func(other proxyconf.Origin) bool { return other.Host == o.Host && other.Port == o.Port }) {
		reason = "the same address stands above: give that one the weight of both"
	}
	for _, p := range d.args[min(1, len(d.args)):] {
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.Atoi(value)
		switch {
		case name == "weight" && err == nil && n <= 65535:
			o.Weight = n
		case name == "max_conns" && err == nil:
			o.MaxConns = n
		case name == "backup":
			o.Backup = true
		case name == "down":
			o.Weight = 0
			d.Differs("down: weight 0, until you remove it")
		case name == "slow_start":
			u.slowStart(f, d, value)
		case name == "max_fails" || name == "fail_timeout":
			d.Leave("%s: anyport ejects an origin after 3 failed dials in a row", p)
		case name == "resolve":
			d.Leave("resolve: not needed, names are resolved again when their TTL ends")
		case name == "service":
			reason = `SRV records: write "srv:_SERVICE._PROTO.NAME" as the origin`
		default:
			d.Leave("%s: anyport has no equal", p)
		}
	}
	if reason != "" {
		d.Leave("%s", reason)
		return
	}
	d.Became("origins")
	f.Origins = append(f.Origins, o)
}

// slowStart writes the time of the first server that has one.
func (u *upstream) slowStart(f *proxyconf.Forwarding, d *directive, text string) {
	if t, ok := parseTime(text); ok && t.Hours() <= 24 && !f.Has("slow_start") {
		f.Set(d.Line, "slow_start", proxyconf.Duration(t))
	}
}
