package integration

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestScrapeManyRoutes scrapes an anyport with very many routes, of all ports, while a conn goes on: each
// scrape is whole, and the conn is served all the time. It logs what a scrape costs, and what the conn
// notices of it.
func TestScrapeManyRoutes(t *testing.T) {
	routes, scrapes := soak(1000, 10_000), soak(3, 20)
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	var file strings.Builder
	file.WriteString("http = \"127.0.0.1:9765\"\n" + relayFile)
	for i := range routes - 2 {
		fmt.Fprintf(&file, "[route.r%d]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [\"10.%d.%d.0/24\"]\norigins = [\"172.16.0.1\"]\n", i, 100+i/250, i%250)
	}
	p := r.edge.serveWith(t, file.String())
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	conn.SetDeadline(time.Now().Add(10 * patience))
	t.Logf("round trips alone: %s", roundTripsDuring(t, conn, func() { time.Sleep(time.Second) }))
	begun, used := time.Now(), p.cpu(t)
	beside := roundTripsDuring(t, conn, func() {
		for range scrapes {
			_, text := r.edge.fetch(t, http.MethodGet, "/metrics")
			if n := strings.Count(text, "\nanyport_route_draining{"); n != routes {
				t.Errorf("a scrape has %d routes, want %d", n, routes)
			}
		}
	})
	n := time.Duration(scrapes)
	t.Logf("round trips beside scrapes: %s", beside)
	t.Logf("a scrape of %d routes: %v, %v of CPU with the round trips", routes, time.Since(begun)/n, (p.cpu(t)-used)/n)
	if len(beside) == 0 {
		t.Error("the conn stood still")
	}
}

// roundTripTimes are sorted.
type roundTripTimes []time.Duration

func (r roundTripTimes) String() string {
	if len(r) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, median %v, p99 %v, longest %v", len(r), r[len(r)/2], r[len(r)*99/100], r[len(r)-1])
}

// roundTripsDuring sends over conn, as fast as answers come, while do runs.
func roundTripsDuring(t *testing.T, conn net.Conn, do func()) (times roundTripTimes) {
	t.Helper()
	done := make(chan struct{})
	go func() { // ends with do
		defer close(done)
		do()
	}()
	for {
		select {
		case <-done:
			slices.Sort(times)
			return times
		default:
		}
		before := time.Now()
		talk(t, conn, "hello")
		times = append(times, time.Since(before))
	}
}
