package flow

import "anyport/proxy/header"

// lead is the header of a flow whose origin gets a PROXY v2 header. An SPP header costs less to make
// for each datagram than to keep.
type lead struct {
	header []byte // goes before each datagram to the origin, or the first
	tlvs   []byte // of the inbound header that the flow began with, if the route may pass them on; with the flow's unique-id
	once   bool   // the header goes only before the first datagram: it is dropped once that is sent
}

// HeaderSize is the length of the header that goes before the payload of the next datagram to the
// origin, in bytes; 0: there is none.
func (f *Flow[S]) HeaderSize() int {
	switch {
	case f.spp:
		return header.SPPSize
	case f.lead == nil:
		return 0
	}
	return len(f.lead.header)
}

// AppendHeader appends that header to b.
func (f *Flow[S]) AppendHeader(b []byte) []byte {
	switch {
	case f.spp:
		return f.sppHeader(b)
	case f.lead == nil:
		return b
	}
	return append(b, f.lead.header...)
}

// sppHeader appends the header of a flow with SPP to b.
func (f *Flow[S]) sppHeader(b []byte) []byte {
	return header.AppendSPP(b, f.Client(), f.Key.headerDst())
}

// HeaderOnce reports whether the header goes only before the next datagram: the flow drops it when one
// has been sent. See Settle.
func (f *Flow[S]) HeaderOnce() bool { return f.lead != nil && f.lead.once }

// uniqueID is what the origin knows the flow by, if the route has "unique-id".
func (f *Flow[S]) uniqueID() string {
	if f.lead == nil || !f.Route.NamesConns() {
		return ""
	}
	return string(header.UniqueID(f.lead.tlvs))
}
