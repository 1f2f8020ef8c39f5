package doctor

import (
	"errors"
	"net/netip"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering/fleet"
)

// withPeers is f with two peers that a running anyport knows.
func withPeers(f *Facts) *admin.PeersStatus {
	c := *f.Config
	c.Fleet = config.Fleet{Device: "back0", Key: "/etc/anyport/fleet.key", Peers: []netip.Addr{netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")}}
	f.Config = &c
	f.Backplane = fleet.Options{Local: netip.MustParseAddr("10.9.0.1")}
	f.BackMTU, f.ClientMTU = 1600, 1500
	f.Links = append(f.Links, Link{Name: "back0", Up: true})
	alive := func(a string) admin.PeerStatus { return admin.PeerStatus{Address: a, Alive: true, MTU: 1600} }
	s := &admin.PeersStatus{Device: "back0", Peers: []admin.PeerStatus{alive("10.9.0.2"), alive("10.9.0.3")}}
	f.Running = &admin.Status{Peers: s}
	return s
}

func TestPeers(t *testing.T) {
	const ping = "ping -I back0 10.9.0.3   # and UDP port 6793 may pass; then: anyport status, on 10.9.0.3: it needs this host's address among its peers"
	run(t, "peers", []example{
		{"none", func(*Facts) {}, []Status{OK}, "no peers", ""},
		{"in order", func(f *Facts) { withPeers(f) }, []Status{OK}, "MTU 1600; 2 of 2 peers alive", ""},
		{"not running", func(f *Facts) { withPeers(f); f.Running = nil }, []Status{OK}, "a running anyport knows", ""},
		{"an MTU as small as the others'", func(f *Facts) {
			s := withPeers(f)
			f.BackMTU, s.Peers[0].MTU, s.Peers[1].MTU = 1500, 1500, 1500
		}, []Status{OK}, "segments of 1396 bytes, so that they fit when wrapped (ip link set dev back0 mtu 1544", ""},
		{"the key", func(f *Facts) { withPeers(f); f.PeerKeyErr = errors.New("its mode is 0644") }, []Status{Failure}, "its mode is 0644",
			"openssl rand -base64 32 | install -m 600 /dev/stdin /etc/anyport/fleet.key   # on one host, then copy it to the others"},
		{"no device", func(f *Facts) { withPeers(f); f.PeerErr = errors.New("no such device") }, []Status{Warning}, "no such device", "ip address show dev back0"},
		{"down", func(f *Facts) { withPeers(f); f.Links[len(f.Links)-1].Up = false }, []Status{Warning}, "back0 is down", "ip link set dev back0 up"},
		{"rp_filter", func(f *Facts) { withPeers(f); f.Links[len(f.Links)-1].ReversePath = 1 }, []Status{Warning}, "rp_filter of back0", "sysctl -w net.ipv4.conf.back0.rp_filter=2"},
		{"off", func(f *Facts) { withPeers(f).Off = "no program" }, []Status{Warning}, "no program", "ip address show dev back0"},
		{"silent", func(f *Facts) { withPeers(f).Peers[1].Alive = false }, []Status{Warning}, "10.9.0.3 does not answer", ping},
		{"another key", func(f *Facts) {
			s := withPeers(f)
			s.Peers[1].Alive, s.Peers[1].WrongTags = false, 9
		}, []Status{Warning}, "10.9.0.3 has another key", "scp 10.9.0.3:/etc/anyport/fleet.key /etc/anyport/fleet.key   # or the other way; then: anyport reload, on both"},
		{"not asked", func(f *Facts) { withPeers(f).Peers[0].Off = "no neighbour" }, []Status{Warning}, "not asked: no neighbour", "ip route get 10.9.0.2"},
		{"MTU", func(f *Facts) { withPeers(f).Peers[0].MTU = 1500 }, []Status{Warning}, "MTU 1500, and this host's 1600", "ip link set dev back0 mtu 1600   # on the host that has less"},
		{"clock", func(f *Facts) { withPeers(f).Peers[0].Clock = -70 }, []Status{Warning}, "-70.0 s", "timedatectl set-ntp true   # on the host that is wrong"},
	})
}
