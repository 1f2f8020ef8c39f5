package nftables

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/ruleset"
)

// addresses of eth0, which packets to this host have.
var local = []netip.Prefix{netip.MustParsePrefix("10.99.0.1/24"), netip.MustParsePrefix("2001:db8:99::1/64")}

// addAddresses gives eth0 its addresses: redirect sends packets there.
func addAddresses(t *testing.T) {
	t.Helper()
	for _, prefix := range local {
		args := []string{"address", "add", prefix.String(), "dev", "eth0", "nodad"}
		if prefix.Addr().Is4() {
			args = args[:len(args)-1]
		}
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	awaitLocal(t, local[1].Addr().String())
}

// awaitLocal waits for the local route of an IPv6 address: the kernel adds it once the link is ready.
func awaitLocal(t *testing.T, address string) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		out, err := exec.Command("ip", "-6", "route", "show", "table", "local").CombinedOutput()
		if err == nil && strings.Contains(string(out), "local "+address+" ") {
			return
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s is not local: %v\n%s", address, err, out)
		}
	}
}

// packetsFor are packets at, within and just outside of what the rules ask for. Each has a source port
// of its own, and none a destination port that a socket of the test listens on.
func packetsFor(rules *ruleset.Ruleset, n int) []ruleset.Packet {
	random := rand.New(rand.NewPCG(1, 2))
	sources, destinations, ports := interesting(rules, random)
	taken := targetPorts(rules)
	var packets []ruleset.Packet
	for len(packets) < n {
		src, dst, port := pick(random, sources), pick(random, destinations), pick(random, ports)
		if src.Is4() != dst.Is4() || taken[uint32(port)] || port == 0 {
			continue
		}
		packets = append(packets, ruleset.Packet{
			Protocol:    pick(random, []uint8{6, 17}),
			Source:      netip.AddrPortFrom(src, uint16(20000+len(packets))),
			Destination: netip.AddrPortFrom(dst, port),
			Interface:   "eth0",
			Local:       dst == local[0].Addr() || dst == local[1].Addr(),
		})
	}
	return packets
}

// interesting are the ends of all ranges that rules ask for, their neighbours, and what lies between.
func interesting(rules *ruleset.Ruleset, random *rand.Rand) (sources, destinations []netip.Addr, ports []uint16) {
	sources = []netip.Addr{netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("2001:db8:77::1")}
	destinations = []netip.Addr{local[0].Addr(), local[1].Addr(), netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("2001:db8::77")}
	ports = []uint16{1, 80, 65535, uint16(random.IntN(65536))}
	for _, a := range atoms(rules) {
		for _, r := range a.Addresses {
			for _, ip := range []netip.Addr{r.First, r.Last, r.First.Prev(), r.Last.Next(), r.First.Next()} {
				switch {
				case !ip.IsValid() || ip.IsLoopback() || ip.IsMulticast() || ip.IsUnspecified() || ip.Is4() && (ip.As4()[0] == 0 || ip.As4()[0] > 223):
				case a.Field == ruleset.Source:
					sources = append(sources, ip)
				default:
					destinations = append(destinations, ip)
				}
			}
		}
		if a.Field == ruleset.DestinationPort {
			for _, r := range a.Numbers {
				ports = append(ports, uint16(r.First), uint16(r.Last), uint16(r.First-1), uint16(r.Last+1),
					uint16(r.First)+uint16(random.IntN(int(r.Last-r.First)+1)))
			}
		}
	}
	return sources, destinations, ports
}

func atoms(rules *ruleset.Ruleset) (all []ruleset.Atom) {
	for _, c := range rules.Chains {
		for _, r := range c.Rules {
			for _, condition := range r.Conditions {
				for _, tuple := range condition.Any {
					all = append(all, tuple...)
				}
			}
		}
	}
	return all
}

// send puts packets on the wire to eth0: SYNs and empty datagrams.
func send(t *testing.T, packets []ruleset.Packet) {
	t.Helper()
	peer, err := net.InterfaceByName("peer")
	if err != nil {
		t.Fatal(err)
	}
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, p := range packets {
		frame := append(append(append([]byte{}, eth0.HardwareAddr...), peer.HardwareAddr...), 0x08, 0x00)
		if p.Destination.Addr().Is6() {
			frame[12], frame[13] = 0x86, 0xdd
		}
		if err := unix.Sendto(fd, append(frame, datagram(p)...), 0, &unix.SockaddrLinklayer{Ifindex: peer.Index}); err != nil {
			t.Fatal(err)
		}
	}
}

// datagram is an IP packet, with the checksums that conntrack asks for.
func datagram(p ruleset.Packet) []byte {
	src, dst := p.Source.Addr().AsSlice(), p.Destination.Addr().AsSlice()
	transport := binary.BigEndian.AppendUint16(nil, p.Source.Port())
	transport = binary.BigEndian.AppendUint16(transport, p.Destination.Port())
	at := 6 // of the checksum
	if p.Protocol == 6 {
		transport = append(transport, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, 2, 0xff, 0xff, 0, 0, 0, 0)
		at = 16
	} else {
		transport = append(transport, 0, 8, 0, 0)
	}
	pseudo := append(append([]byte{}, src...), dst...)
	pseudo = append(pseudo, 0, p.Protocol, 0, byte(len(transport)))
	binary.BigEndian.PutUint16(transport[at:], checksum(append(pseudo, transport...)))
	if len(src) == 16 {
		header := append([]byte{0x60, 0, 0, 0, 0, byte(len(transport)), p.Protocol, 64}, src...)
		return append(append(header, dst...), transport...)
	}
	header := append([]byte{0x45, 0, 0, byte(20 + len(transport)), 0, 1, 0, 0, 64, p.Protocol, 0, 0}, src...)
	header = append(header, dst...)
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return append(header, transport...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
