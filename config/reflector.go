package config

import (
	"maps"
	"slices"
)

// reflectors are services of UDP that answer anybody: with much more than they were
// asked, or with something to everything, so that two of them never stop. They are
// those with a port in CISA's alert TA14-017A on amplification attacks and in CERT's
// note VU#417980 on loops, and what became known later (SLP: CVE-2023-29552; ARMS,
// WS-Discovery and CoAP: the FBI's notification of July 2020); but not those of games,
// whose servers anyport is for.
var reflectors = map[uint16]string{
	7:     "echo",
	11:    "systat",
	13:    "daytime",
	17:    "qotd",
	19:    "chargen",
	37:    "time",
	53:    "dns",
	69:    "tftp",
	111:   "portmap",
	123:   "ntp",
	137:   "netbios-ns",
	161:   "snmp",
	389:   "cldap",
	427:   "slp",
	520:   "rip",
	1900:  "ssdp",
	3283:  "arms",
	3702:  "ws-discovery",
	5353:  "mdns",
	5683:  "coap",
	11211: "memcached",
}

// Reflector returns the service that a UDP port is known to be attacked through, or "".
func Reflector(port uint16) (service string) { return reflectors[port] }

// WidestMeant is the number of ports in a range that still means each of them: a route
// that takes a reflector's port by a wider one gets a note.
const WidestMeant = 1024

// reflectorPorts are the ports of reflectors, sorted.
var reflectorPorts = func() (all []PortRange) {
	for _, port := range slices.Sorted(maps.Keys(reflectors)) {
		all = append(all, PortRange{port, port})
	}
	return all
}()

// WideReflector returns the reflector whose UDP port r forwards by a range that is too wide
// to mean it, and "" where port is not such a port.
func (r *Route) WideReflector(port uint16) (service string) {
	if r.Action != Forward || !r.Takes(UDP) || r.narrowest(UDP, port) <= WidestMeant {
		return ""
	}
	return Reflector(port)
}

// symmetric are the reflectors whose servers and some clients talk from the port that
// they talk to (NTP: RFC 5905 §9.1; RIP: RFC 2453 §3.9.1; NetBIOS: RFC 1002 §4.2; DNS:
// resolvers without RFC 5452).
var symmetric = map[uint16]bool{53: true, 123: true, 137: true, 520: true}

// Responder reports whether a datagram from port source to port dst looks like the
// answer of a server rather than a client's question: to forward it could make two
// servers answer each other without end. Above 1023 a port says nothing, because clients and
// NATs use all of those (RFC 4787 §4.2.2).
func Responder(source, dst uint16) bool {
	_, known := reflectors[source]
	return known && source < 1024 && !(source == dst && symmetric[source])
}
