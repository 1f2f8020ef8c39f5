package flow

import (
	"net/netip"
	"slices"
	"time"

	"anyport/bpf/fastflow"
	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// headerOf is what a route calls a header of the kernel's.
var headerOf = map[fastflow.Header]config.ProxyProtocol{
	fastflow.None: config.ProxyOff, fastflow.V2: config.ProxyV2, fastflow.SPP: config.ProxySPP,
}

// Left describes a flow that a process had the kernel forward before it died, as if that process had
// sent it. It is not ok if the routes in service do not lead there. When the flow began is not known any
// more; the time is that of the clock.
func (t *Table[S]) Left(entry fastflow.Flow, u fastflow.Usage, now time.Time) (in Moving, ok bool) {
	r := t.opt.Routes.Set().Lookup(config.UDP, entry.Client.Addr(), entry.Dst)
	if r == nil || r.NamesClients() || r.Open(entry.Client.Addr()) == route.Denied {
		return in, false
	}
	isOrigin := slices.ContainsFunc(r.Origins().Origins, func(o *origin.Origin) bool { return o.At(entry.Dst.Port()) == entry.Origin })
	bytes, err := header.Datagram(headerOf[entry.Header], entry.Client, entry.Dst)
	if !isOrigin || err != nil {
		return in, false
	}
	in = Moving{
		Client: entry.Client, Dst: entry.Dst, Route: r.Name, Origin: entry.Origin,
		Header: bytes, SPP: entry.Header == fastflow.SPP,
		Begun: now.Add(-u.Quiet), Last: now.Add(-u.Quiet), Answered: true, Shown: true, Attempts: 1,
		ToOrigin: u.ToOrigin.Bytes, ToClient: u.ToClient.Bytes,
		Packets: [2]uint64{route.ToOrigin: u.ToOrigin.Packets, route.ToClient: u.ToClient.Packets},
	}
	egress := slices.ContainsFunc(r.EgressPrefixes, func(p netip.Prefix) bool { return p.Contains(entry.Source.Addr()) })
	if egress {
		in.Egress = entry.Source
	}
	return in, egress == (len(r.EgressPrefixes) > 0)
}

// FastLeftBefore notes that the kernel forwards f, since a process that has died had asked for it, and
// what it has forwarded: that process has counted it, but for the last moments.
func (t *Table[S]) FastLeftBefore(f *Flow[S], generation uint32, u fastflow.Usage) {
	f.fast = &fast{generation: generation, path: route.InKernel, counted: [2]fastflow.Count{route.ToOrigin: u.ToOrigin, route.ToClient: u.ToClient}}
	t.addFast(f, 1)
}
