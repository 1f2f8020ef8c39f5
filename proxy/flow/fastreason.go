package flow

import (
	"bytes"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// mayGoFast decides by what the flow has shown of itself.
func (f *Flow[S]) mayGoFast() route.FastReason {
	switch {
	case f.stage == Unanswered:
		return route.FastUnanswered
	case f.stage != Validated && (f.Route.AntiAmplification || f.packets[route.ToOrigin] < fastProof):
		return route.FastUnvalidated
	}
	return route.FastForwarded
}

// FastReason decides whether the kernel may forward f: FastForwarded, or why not. The route in service
// has a say, too, not only the one that the flow began with: the steering program would judge each
// datagram of the flow by it (deny, datagrams_per_second), and does not see what the kernel forwards.
func (t *Table[S]) FastReason(f *Flow[S]) route.FastReason {
	if shown := f.mayGoFast(); shown != route.FastForwarded {
		return shown
	}
	current := t.opt.Routes.Set().Lookup(config.UDP, f.Key.ReplyTo().AddrPort().Addr(), f.Dst())
	switch {
	case t.draining || f.drainEnd != 0:
		return route.FastDraining
	case current == nil:
		return route.FastNotAdmitted
	}
	for _, r := range []*config.Route{current.Route, f.Route.Route} {
		if reason := RouteGoesFast(r); reason != route.FastForwarded {
			return reason
		}
	}
	switch v := current.Open(f.Client().Addr()); {
	case v == route.Draining:
		return route.FastDraining
	case v != route.Admitted:
		return route.FastNotAdmitted
	}
	return f.addressesGoFast()
}

// RouteGoesFast is the part of FastReason that the file decides: for `explain`, too.
func RouteGoesFast(r *config.Route) route.FastReason {
	switch {
	case r.FastPath == config.FastOff:
		return route.FastOff
	case r.DatagramsPerSecond > 0:
		return route.FastDatagramLimit
	case r.NamesClients():
		return route.FastNamedClient
	case r.Transparent:
		return route.FastTransparent
	case r.Knock.Needed():
		return route.FastKnock
	case r.Action == config.Socket:
		// A datagram that waits here while the service appears would have the kernel forward the flow
		// past it.
		return route.FastService
	case len(r.ProxyTLVs) > 0:
		return route.FastHeader
	}
	return route.FastForwarded
}

// addressesGoFast decides by the addresses and the header of the flow.
func (f *Flow[S]) addressesGoFast() route.FastReason {
	switch {
	case f.Key.named():
		return route.FastNamedClient
	case f.Key.Client.Zone != 0:
		return route.FastZone
	case f.Client().Addr().Is4() != f.Origin.Addr.Is4():
		return route.FastFamily
	case !f.headerGoesFast():
		return route.FastHeader
	}
	return route.FastForwarded
}

// headerGoesFast reports whether the kernel can write the header of f: SPP, v2 without TLVs, or none.
// Another process may have begun the flow, when the file said something else.
func (f *Flow[S]) headerGoesFast() bool {
	if f.HeaderSize() == 0 || f.spp {
		return true
	}
	plain, err := header.Datagram(config.ProxyV2, f.Client(), f.Dst())
	return err == nil && !f.HeaderOnce() && bytes.Equal(plain, f.lead.header)
}
