package admin

import "time"

// PeersStatus says how it stands with the other hosts of [fleet] peers.
type PeersStatus struct {
	Off     string       `json:"off"`     // why they are not asked about conns; "": they are
	Way     string       `json:"way"`     // how the programs are attached: "tcx" or, before Linux 6.6, "clsact" (filters of tc)
	Device  string       `json:"device"`  // of the backplane
	Address string       `json:"address"` // of this host on it
	MTU     int          `json:"mtu"`     // of the device
	Segment int          `json:"segment"` // bytes that clients of new conns may send at once, so that wrapped packets fit; 0: as many as their device lets them
	Devices []PeerDevice `json:"devices"` // that packets of clients arrive by
	Peers   []PeerStatus `json:"peers"`

	ChangedAt *time.Time `json:"changed_at,omitempty"` // when a peer came or went last, or a host of the fleet began or ended to drain

	Packets map[string]uint64 `json:"packets"` // by verdict
	Conns   map[string]uint64 `json:"conns"`   // and UDP flows, by verdict
}

// PeerDevice is whether peers are asked about packets that arrive by a device.
type PeerDevice struct {
	Name string `json:"name"`
	Off  string `json:"off"` // why not; "": they are
}

// PeerStatus is another host.
type PeerStatus struct {
	Address    string     `json:"address"`
	Alive      bool       `json:"alive"`
	Off        string     `json:"off"` // why it is not asked although it was heard; "": nothing is known against it
	HeardAt    *time.Time `json:"heard_at,omitempty"`
	RTTSeconds float64    `json:"rtt_seconds"`   // 0: not known
	MTU        int        `json:"mtu"`           // of its device; 0: not known
	Clock      float64    `json:"clock_seconds"` // how far its clock is ahead of this host's
	WrongTags  uint64     `json:"wrong_tags"`    // packets from its address that another key has signed, or none
}

// Alive counts the peers that answer.
func (s *PeersStatus) Alive() (n int) {
	for _, p := range s.Peers {
		if p.Alive {
			n++
		}
	}
	return n
}
