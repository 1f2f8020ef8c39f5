package load

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Origin answers on its ports until the process is killed. With header, each conn
// begins with a PROXY header.
func Origin(address netip.Addr, header bool) error {
	if err := raiseFiles(); err != nil {
		return err
	}
	var group errgroup.Group
	var counted counter
	handlers := map[int]func(net.Conn){
		sourceTCP.first:  source,
		sinkTCP.first:    sink,
		countersIn.first: counted.tell,
	}
	for port, handle := range handlers {
		listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), strconv.Itoa(port)))
		if err != nil {
			return err
		}
		group.Go(func() error { return serve(listener, handle) })
	}
	// The echoes come last: when they answer, all is open.
	group.Go(func() error { return echoConns(address, header) })
	group.Go(func() error { return echoDatagrams(address, &counted) })
	return group.Wait()
}

// serve hands every conn to a goroutine, which ends with the conn.
func serve(listener net.Listener, handle func(net.Conn)) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			handle(conn)
		}()
	}
}

func source(conn net.Conn) {
	for buf := make([]byte, bulkBuffer); ; {
		if _, err := conn.Write(buf); err != nil {
			return
		}
	}
}

// sink copies what it reads: io.Discard would have the kernel throw it away.
func sink(conn net.Conn) {
	for buf := make([]byte, bulkBuffer); ; {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// counter is how many quiet datagrams came.
type counter struct{ atomic.Int64 }

// tell answers each byte with the count.
func (c *counter) tell(conn net.Conn) {
	for buf := make([]byte, 1); ; {
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		conn.Write(binary.BigEndian.AppendUint64(nil, uint64(c.Load())))
	}
}
