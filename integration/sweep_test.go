package integration

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

const sweepFile = `
[listen]
udp_receive_buffer = "16MiB"
[defaults]
udp_idle_timeout = "2s"

[route.v4]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:4000", "10.0.0.6:4000"]
proxy_protocol = "v2"

[route.v6]
protocol = ["tcp", "udp"]
prefixes = ["2001:db8:1::/48"]
origins  = ["[fd00:5::5]:4000"]
proxy_protocol = "v2"
`

// TestSweep asks a question on every port of an address, over TCP and UDP, IPv4 and
// IPv6. The answer must come from that address and port, and the origin must have
// learned the right client and dst. `make sweep` tries all 65,535 ports of each; `make
// test` a sample.
func TestSweep(t *testing.T) {
	ports := sweepPorts(t)
	raiseFiles(t, 1<<18)
	r := newRig(t)
	for _, address := range []string{"10.0.0.5:4000", "10.0.0.6:4000", "[fd00:5::5]:4000"} {
		r.origin.serve(t, address, witness)
		r.origin.answer(t, address, witnessDatagram)
	}
	r.edge.serveWith(t, sweepFile)
	exchanges, begun := 0, time.Now()
	for _, one := range []struct{ network, dst string }{
		{"tcp4", dstV4}, {"tcp6", dstV6}, {"udp4", dstV4}, {"udp6", dstV6},
	} {
		t.Run(one.network, func(t *testing.T) {
			begun := time.Now()
			wrong := sweep(t, r.client, one.network, netip.MustParseAddr(one.dst), ports)
			took := time.Since(begun)
			t.Logf("%d exchanges, %d wrong, in %.1f s: %.0f a second",
				len(ports), wrong, took.Seconds(), float64(len(ports))/took.Seconds())
			exchanges += len(ports)
		})
	}
	t.Logf("%d exchanges in %.1f s", exchanges, time.Since(begun).Seconds())
}

// sweepPorts are the ports that matter and a random sample, or all of them.
func sweepPorts(t *testing.T) []uint16 {
	if os.Getenv("ANYPORT_SWEEP") == "all" {
		ports := make([]uint16, 0, 65535)
		for p := 1; p <= 65535; p++ {
			ports = append(ports, uint16(p))
		}
		return ports
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ports := []uint16{1, 7, 22, 53, 80, 443, 4000, 8080, 32768, 60999, 65534, 65535}
	for range 1500 {
		ports = append(ports, uint16(1+random.IntN(65535)))
	}
	return ports
}

// sweepers is how many exchanges are under way at once.
const sweepers = 32

// sweep asks on all ports and gives the number of wrong answers, the first of
// which are reported. It gives up after a hundred.
func sweep(t *testing.T, from *host, network string, dst netip.Addr, ports []uint16) int {
	ask := askTCP
	if network[:3] == "udp" {
		ask = askUDP
	}
	queue, faults, enough := make(chan uint16), make(chan error), make(chan struct{})
	var workers sync.WaitGroup
	for range sweepers {
		workers.Go(func() { // ends with the queue; makes its sockets in the namespace
			from.do(func() {
				for port := range queue {
					if err := ask(network, netip.AddrPortFrom(dst, port)); err != nil {
						faults <- fmt.Errorf("%s port %d: %w", network, port, err)
					}
				}
			})
		})
	}
	go func() {
		defer close(queue)
		for _, port := range ports {
			select {
			case queue <- port:
			case <-enough:
				return
			}
		}
	}()
	go func() {
		workers.Wait()
		close(faults)
	}()
	wrong := 0
	for err := range faults {
		if wrong++; wrong <= 10 {
			t.Error(err)
		}
		if wrong == 100 {
			close(enough)
		}
	}
	return wrong
}

// askTCP makes one exchange over a connection of its own.
func askTCP(network string, dst netip.AddrPort) error {
	conn, err := dialHere(network, "", dst.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	question := questionFor(dst)
	if _, err := conn.Write([]byte(question)); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	client := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	return check(answer, expected(network, client, dst, question))
}

// askUDP makes one exchange from a socket of its own that is not connected, so
// that an answer from anywhere else would be seen.
func askUDP(network string, dst netip.AddrPort) error {
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	question := questionFor(dst)
	answer, from, err := exchange(conn, dst, []byte(question))
	if err != nil {
		return err
	}
	if from != dst {
		return fmt.Errorf("answered from %v", from)
	}
	client := netip.AddrPortFrom(clientOf(dst.Addr()), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	return check(string(answer), expected(network, client, dst, question))
}

// questionFor is long enough for the answer not to be an amplification.
func questionFor(dst netip.AddrPort) string {
	return fmt.Sprintf("what were you told of the one who asks this on port %d?\n", dst.Port())
}

// exchange sends a datagram until something comes back: a queue on the way may
// overflow, and UDP then owes nothing.
func exchange(conn *net.UDPConn, dst netip.AddrPort, question []byte) ([]byte, netip.AddrPort, error) {
	buffer := make([]byte, 1<<16)
	for range 5 {
		if _, err := conn.WriteToUDPAddrPort(question, dst); err != nil {
			return nil, netip.AddrPort{}, err
		}
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err == nil {
			return buffer[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, netip.AddrPort{}, err
		}
	}
	return nil, netip.AddrPort{}, errors.New("no answer")
}

// clientOf is the address that the client has when it talks to dst.
func clientOf(dst netip.Addr) netip.Addr {
	if dst.Is4() {
		return netip.MustParseAddr(clientV4)
	}
	return netip.MustParseAddr(clientV6)
}

func check(got, want string) error {
	if got != want {
		return fmt.Errorf("answered %q, want %q", got, want)
	}
	return nil
}
