package udp

// dropCount is what the kernel has dropped at an origin socket, whose receive buffer was full. The kernel
// adds its count to each message, from the first loss on (SO_RXQ_OVFL, see [datagram.Dialer.ExpectBursts]).
// The zero value is that of a socket just opened.
type dropCount struct {
	seen      uint32 // with the last message, modulo 2³²
	inherited bool   // the socket is another process's, which has counted what the first message says
}

// since is how many more there are with a message that says count; 0: it says nothing.
func (d *dropCount) since(count uint32) (lost uint32) {
	if count != 0 {
		lost, d.seen = count-d.seen, count
	}
	if d.inherited {
		d.inherited, lost = false, 0
	}
	return lost
}
