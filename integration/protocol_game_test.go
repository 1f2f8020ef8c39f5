package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGame behaves like games and tunnels: both sides send numbered datagrams of many
// sizes, unrequested, at their own pace. Each arrives once, complete, and at the right
// peer.
func TestGame(t *testing.T) { onBothPaths(t, playsGame) }

func playsGame(t *testing.T, r *rig) {
	const players = 8
	g := &game{conn: r.origin.listenPacket(t, "10.0.0.5:7777"), ledgers: map[netip.AddrPort]*ledger{}, complete: make(chan int, players)}
	deepen(t, g.conn)
	go g.serve(t)
	r.edge.serveWith(t, `
[listen]
udp_receive_buffer = "64MiB"
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5:7777"]
`)
	var all sync.WaitGroup
	for player := range players {
		dst := [...]string{"192.0.2.%d:7777", "[2001:db8:1::%d]:7777"}[player%2]
		conn := r.client.dial(t, "udp", fmt.Sprintf(dst, 1+player/4)).(*net.UDPConn) // some share a dst
		deepen(t, conn)
		all.Go(func() {
			if err := play(t, conn, player); err != nil {
				t.Errorf("player %d: %v", player, err)
			}
		})
	}
	all.Wait()
	for range players {
		select {
		case <-g.complete:
		case <-time.After(patience):
			t.Fatal("the server has not heard all moves")
		}
	}
}

// deepen gives a socket a long queue, for what arrives while its reader waits for a core.
func deepen(t *testing.T, conn *net.UDPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) })
	if err := errors.Join(failed, err); err != nil {
		t.Fatal(err)
	}
}

// play joins the game, and is over when all moves of the server's have come.
func play(t *testing.T, conn net.Conn, player int) error {
	buffer := make([]byte, 1<<16)
	for _, word := range []string{"hello", "here I am"} { // twice: that it is there is shown by an answer to an answer
		if _, err := fmt.Fprintf(conn, "%s, player %d", word, player); err != nil {
			return err
		}
		if _, err := conn.Read(buffer); err != nil {
			return err
		}
	}
	var mine sync.WaitGroup
	defer mine.Wait()
	mine.Go(func() { moves(t, conn.Write, player) })
	l := newLedger(player)
	for l.missing > 0 {
		conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(buffer)
		if err != nil {
			return fmt.Errorf("%d of the server's moves are missing: %w", l.missing, err)
		}
		if err := l.enter(buffer[:n]); err != nil {
			return err
		}
	}
	return nil
}

// game is the server. It tells its players apart by their addresses.
type game struct {
	conn     *net.UDPConn
	ledgers  map[netip.AddrPort]*ledger
	complete chan int
}

// serve ends with the conn.
func (g *game) serve(t *testing.T) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := g.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		answer := func(b []byte) (int, error) { return g.conn.WriteToUDPAddrPort(b, from) }
		var player int
		l := g.ledgers[from]
		_, err = fmt.Sscanf(string(buffer[:n]), "here I am, player %d", &player)
		switch {
		case bytes.HasPrefix(buffer[:n], []byte("hello")):
			answer([]byte("welcome"))
		case err == nil:
			g.ledgers[from] = newLedger(player)
			answer([]byte("go"))
			go moves(t, answer, player)
		case l == nil:
			t.Errorf("a move of an unknown player, from %v", from)
		default:
			if err := l.enter(buffer[:n]); err != nil {
				t.Errorf("from player %d: %v", l.player, err)
			}
			if l.missing == 0 {
				g.complete <- l.player
			}
		}
	}
}

// moves sends all moves of a game, some of them at once.
func moves(t *testing.T, send func([]byte) (int, error), player int) {
	for n := range soak(500, 20000) {
		if _, err := send(move(player, n)); err != nil {
			t.Errorf("move %d of player %d: %v", n, player, err)
			return
		}
		if n%3 == 2 {
			time.Sleep(time.Millisecond)
		}
	}
}

// move is a datagram that nobody else sends.
func move(player, n int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(player))
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, bytes.Repeat([]byte{byte(player + n)}, n*n%1400)...)
}

// ledger records which moves of one player have arrived.
type ledger struct {
	player  int
	come    []bool
	missing int
}

func newLedger(player int) *ledger {
	n := soak(500, 20000)
	return &ledger{player, make([]bool, n), n}
}

func (l *ledger) enter(datagram []byte) error {
	if len(datagram) < 8 {
		return fmt.Errorf("%q is not a move", datagram)
	}
	n := int(binary.BigEndian.Uint32(datagram[4:]))
	switch {
	case n >= len(l.come) || !bytes.Equal(datagram, move(l.player, n)):
		return fmt.Errorf("move %d of player %d came as one of %d bytes, garbled or of another player: % x…", n, l.player, len(datagram), datagram[:8])
	case l.come[n]:
		return fmt.Errorf("move %d came twice", n)
	}
	l.come[n] = true
	l.missing--
	return nil
}
