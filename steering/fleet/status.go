package fleet

import (
	"net/netip"
	"time"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/ingress"
)

// Status is how it stands with the peers.
type Status struct {
	Off     string      // why nothing is attached; "": it is
	Device  string      // of the backplane
	MTU     int         // its own; 0: there is no such device
	Way     ingress.Way // how the programs are attached
	Asking  []Device    // where packets of clients arrive, and why not
	Peers   []Peer      // by address
	Changed time.Time   // when a peer came or went last, or a host began or ended to drain; zero: never
	Counts  Counts
}

// Device is whether packets of unknown conns are asked for that arrive at it.
type Device struct {
	Name string
	Off  string // why not; "": they are
}

// Peer is another host of the fleet.
type Peer struct {
	Addr      netip.Addr
	Alive     bool          // it is asked
	Off       string        // why not, although it was heard: no route, no neighbour; "": nothing is known against it
	LastHello time.Time     // zero: none was heard
	RTT       time.Duration // from a hello to its answer; 0: not known
	MTU       int           // of its device; 0: not known
	Clock     time.Duration // how far its clock is ahead of this host's, less the way; valid if RTT is not 0
	WrongTag  uint64        // packets from its address that another key has signed, or nobody
}

// Counts are the packets since the programs were loaded. They only grow.
type Counts struct {
	Asked    uint64 // of unknown conns, wrapped and sent to all peers
	Straight uint64 // of conns that a peer has, wrapped and sent to it
	Taken    uint64 // from peers, of conns that this host has
	Foreign  uint64 // from peers, of conns that this host does not have; dropped
	Shed     uint64 // of unknown conns, above what may be asked for; the kernel answered
	GivenUp  uint64 // of conns that no peer has said it has, for long; the kernel answered
	Denied   uint64 // of conns that all peers have said they do not have; the kernel answered
	TooLong  uint64 // would not fit through the backplane; dropped
	Unsent   uint64 // copies that the device of the backplane has refused
	Forged   uint64 // to the port of the backplane, and not from a peer, or with a wrong tag; dropped
	Untold   uint64 // answers to peers that were lost, because user space did not keep up
	Learnt   uint64 // conns and flows that a peer has said it has
	Told     uint64 // conns and flows that a peer was told this host has
	Gone     uint64 // conns and flows that a peer has said it has no more
	Sought   uint64 // UDP flows that all peers were asked about
	Unsought uint64 // UDP flows above what may be asked about; they began here
	Lost     uint64 // datagrams that have waited for the peer that has their flow, and could not be sent to it
}

// Status may be asked at any time.
func (f *Fleet) Status() Status {
	if f == nil {
		return Status{Off: "the kernel's part is not loaded"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{Off: f.off, Device: f.options.Device, MTU: f.device.mtu, Way: f.objects.ask.links.Way(), Asking: f.asking, Peers: f.members.status(), Changed: f.members.changed}
	if f.closed {
		s.Off = "the fleet's part is closed"
		return s
	}
	for i := range s.Peers {
		_ = f.objects.wrongTags.Lookup(bpfmaps.AddrWords(s.Peers[i].Addr), &s.Peers[i].WrongTag)
	}
	s.Counts = f.counts()
	return s
}

// counts reads the programs' counters. What can't be read is 0.
func (f *Fleet) counts() Counts {
	read := func(which bpf.FleetCounter) (sum uint64) {
		var each []uint64
		_ = f.objects.counters.Lookup(uint32(which), &each)
		for _, n := range each {
			sum += n
		}
		return sum
	}
	return Counts{
		Asked: read(bpf.FleetCounterCOUNT_ASKED), Straight: read(bpf.FleetCounterCOUNT_STRAIGHT),
		Taken: read(bpf.FleetCounterCOUNT_TAKEN), Foreign: read(bpf.FleetCounterCOUNT_FOREIGN),
		Shed: read(bpf.FleetCounterCOUNT_SHED), GivenUp: read(bpf.FleetCounterCOUNT_GIVEN_UP), Denied: read(bpf.FleetCounterCOUNT_DENIED),
		TooLong: read(bpf.FleetCounterCOUNT_TOO_LONG), Unsent: read(bpf.FleetCounterCOUNT_UNSENT),
		Forged: read(bpf.FleetCounterCOUNT_FORGED), Untold: read(bpf.FleetCounterCOUNT_UNTOLD),
		Learnt: read(bpf.FleetCounterCOUNT_LEARNT) + f.learnt.Load(), Told: f.told.Load(), Gone: read(bpf.FleetCounterCOUNT_GONE) + f.gone.Load(),
		Sought: f.seeking.sought.Load(), Unsought: f.seeking.shed.Load(), Lost: f.seeking.lost.Load(),
	}
}
