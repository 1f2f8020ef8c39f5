package load

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// Spoofed is where the datagrams of Job.Spoof claim to come from.
var Spoofed = netip.MustParsePrefix("100.64.0.0/10")

// flooder is another client, whose datagrams are not answered.
type flooder struct {
	done  chan struct{}
	group sync.WaitGroup
}

// startFlood starts what the job asks for, which may be nothing. It goes on until
// stop.
func startFlood(job Job) (*flooder, error) {
	f := &flooder{done: make(chan struct{})}
	if job.Flood == 0 && job.Spoof == 0 {
		return f, nil
	}
	s, err := openUDP(job.anySource(), nil)
	if err != nil {
		return nil, err
	}
	next := func(int) []byte { return nil }
	rate := job.Flood
	if job.Spoof > 0 {
		if err := anySource(s.fd); err != nil {
			return nil, err
		}
		next = spoofedSource
		rate = int(float64(job.Spoof) / (job.WarmUp + job.Measure).Seconds())
	}
	f.group.Go(func() { // ends with done
		defer s.Close()
		f.send(s, job, rate, next)
	})
	return f, nil
}

func (f *flooder) stop() {
	close(f.done)
	f.group.Wait()
}

// send keeps to the rate. If it falls behind, it makes up for 10 ms at a time: the path to a
// proxy with thousands of sockets can be slow. It floods an address and port that the
// measured clients do not use.
func (f *flooder) send(s *socket, job Job, rate int, source func(i int) []byte) {
	dst := job.dst(2*echoUDP.count-1, echoUDP)
	datagram := make([]byte, job.Size)
	datagram[0] = quiet
	start, sent := time.Now(), 0
	for {
		select {
		case <-f.done:
			return
		case <-time.After(time.Millisecond):
		}
		due := min(int(time.Since(start).Seconds()*float64(rate)), sent+rate/100)
		if job.Spoof > 0 {
			due = min(due, job.Spoof)
		}
		for ; sent < due; sent++ {
			s.sendWith(datagram, source(sent), dst)
		}
		s.flush()
	}
}

// anySource lets a socket send from addresses that are not this host's.
func anySource(fd int) error {
	return os.NewSyscallError("setsockopt IP_TRANSPARENT", unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1))
}

// spoofedSource is the control message of the i-th spoofed datagram.
func spoofedSource(i int) []byte {
	base := Spoofed.Addr().As4()
	var source [4]byte
	binary.BigEndian.PutUint32(source[:], binary.BigEndian.Uint32(base[:])+uint32(i)+1)
	return (&ipv4.ControlMessage{Src: net.IP(source[:])}).Marshal()
}
