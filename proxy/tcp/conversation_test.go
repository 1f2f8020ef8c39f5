package tcp_test

import (
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A conversation is what both sides of a conn do, as its seed decides.
type conversation struct {
	sides [2]side       // client, origin
	cut   int           // the side that ends it by RST; nobody: both end by FIN
	rash  bool          // it does not wait until all is said and read,
	after time.Duration // and then for this long
}

const nobody = -1

type side struct {
	says  []saying
	reads int           // the size of one read
	stall time.Duration // it reads nothing at first, and its receive buffer is small
	waits bool          // it says nothing before the other side's FIN
}

type saying struct {
	size   int
	pause  time.Duration // before it
	urgent bool
}

func (s side) total() (n int) {
	for _, say := range s.says {
		n += say.size
	}
	return n
}

func newConversation(seed uint64) conversation {
	r := rand.New(rand.NewPCG(seed, 1))
	c := conversation{sides: [2]side{newSide(r), newSide(r)}, cut: nobody}
	switch which := r.IntN(2); r.IntN(8) {
	case 0, 1:
		c.cut = which
	case 2:
		c.cut, c.rash, c.after = which, true, time.Duration(r.IntN(3000))*time.Microsecond
	case 3, 4: // without a cut, or FIN may never come
		c.sides[which].waits = true
	}
	return c
}

func newSide(r *rand.Rand) side {
	s := side{reads: 1 << (7 + r.IntN(11))}
	for range r.IntN(6) {
		say := saying{size: 1 + r.IntN(1<<r.IntN(18)), pause: time.Duration(r.IntN(3)*r.IntN(1000)) * time.Microsecond}
		if r.IntN(10) == 0 {
			say.size, say.urgent = 1, true
		}
		s.says = append(s.says, say)
	}
	if r.IntN(20) == 0 { // enough to be spliced
		s.says = append(s.says, saying{size: 1 << (20 + r.IntN(3))})
	}
	if r.IntN(20) == 0 {
		s.stall = time.Duration(r.IntN(50)) * time.Millisecond
	}
	return s
}

// transcript is what the two sides saw.
type transcript [2]heard

type heard struct {
	bytes int
	crc   uint32
	end   string
}

// hold plays c on one conn's two ends.
func (c conversation) hold(seed uint64, ends [2]*net.TCPConn) (said transcript) {
	for i := range ends {
		c.sides[i].prepare(ends[i])
	}
	var all, read sync.WaitGroup
	read.Add(len(ends))
	for i := range ends {
		fin := make(chan struct{})
		all.Go(func() {
			said[i] = c.listen(ends[i], i, read.Done)
			close(fin)
		})
		all.Go(func() {
			if c.sides[i].waits {
				<-fin
			}
			c.talk(seed, ends[i], i)
			if c.cut == nobody {
				ends[i].CloseWrite()
			}
		})
	}
	if c.cut != nobody {
		if c.rash {
			time.Sleep(c.after)
		} else {
			read.Wait()
		}
		reset(ends[c.cut])
	}
	all.Wait()
	for _, end := range ends {
		end.Close()
	}
	return said
}

// words is what side i says.
func words(seed uint64, i int) io.Reader {
	return rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(i)})
}

func (c conversation) talk(seed uint64, conn *net.TCPConn, i int) {
	bytes := words(seed, i)
	for _, say := range c.sides[i].says {
		time.Sleep(say.pause)
		var err error
		if say.urgent {
			piece := make([]byte, say.size)
			io.ReadFull(bytes, piece)
			err = sendUrgent(conn, piece)
		} else {
			_, err = io.CopyN(conn, bytes, int64(say.size))
		}
		if err != nil {
			return
		}
	}
}

// prepare comes before the first read: that decides where an urgent byte is. The proxy
// passes it in its place, so that is where the side wants it.
func (s side) prepare(conn *net.TCPConn) {
	if s.stall > 0 {
		conn.SetReadBuffer(128 << 10)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return // closed, which the conversation will tell
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1) })
}

// again is when a read tries again: at an urgent byte one that meets a signal is told
// that there is nothing, and would wait for ever.
const again = 100 * time.Millisecond

// listen reads to the end of the stream; all tells that the last byte is read.
func (c conversation) listen(conn *net.TCPConn, i int, all func()) (h heard) {
	var once sync.Once
	defer once.Do(all)
	b := make([]byte, c.sides[i].reads)
	time.Sleep(c.sides[i].stall)
	for {
		if h.bytes == c.sides[1-i].total() {
			once.Do(all)
		}
		conn.SetReadDeadline(time.Now().Add(again))
		n, err := conn.Read(b)
		h.crc = crc32.Update(h.crc, crc32.IEEETable, b[:n])
		h.bytes += n
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			h.end = ending(err)
			return h
		}
	}
}

func ending(err error) string {
	switch {
	case err == io.EOF:
		return "FIN"
	case errors.Is(err, unix.ECONNRESET):
		return "RST"
	case errors.Is(err, net.ErrClosed):
		return "own RST"
	}
	return err.Error()
}
