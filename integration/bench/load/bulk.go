package load

import (
	"net"
	"time"
)

// bulkBuffer is what the client and the origin read and write at once.
const bulkBuffer = 256 << 10

// bulk moves bytes one way over Conns conns.
func bulk(job Job) (Result, error) {
	ports, move := sourceTCP, net.Conn.Read
	if job.Upload {
		ports, move = sinkTCP, net.Conn.Write
	}
	return measure(job, job.Conns, func(i int, t *tally, m *window) {
		conn, err := net.DialTimeout("tcp", job.dst(i, ports).String(), patience)
		if err != nil {
			t.failed.Add(1)
			return
		}
		defer conn.Close()
		buf := make([]byte, bulkBuffer)
		for !m.over() {
			conn.SetDeadline(time.Now().Add(patience))
			n, err := move(conn, buf)
			t.ops.Add(int64(n))
			if err != nil {
				t.failed.Add(1)
				return
			}
		}
	})
}
