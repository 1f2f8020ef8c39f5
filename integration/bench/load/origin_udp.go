package load

import "net/netip"

// quiet is the first byte of datagrams that the origin counts and does not answer.
const quiet = 0x51

// echoDatagrams sends back what comes to a port, a train as a train.
func echoDatagrams(address netip.Addr, port int, counted *counter) error {
	s, err := openUDP(netip.AddrPortFrom(address, uint16(port)))
	if err != nil {
		return err
	}
	for {
		messages, err := s.read()
		if err != nil {
			return err
		}
		for _, m := range messages {
			b, size := m.Buffers[0][:m.N], sizeOf(m)
			if m.N > 0 && b[0] == quiet {
				counted.Add(int64((m.N + size - 1) / size))
				continue
			}
			s.send(b, size, m.Addr)
		}
		s.flush()
	}
}
