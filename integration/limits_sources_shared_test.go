package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestManyConnsOfFour is TestManyConnsFromTwoSources where a process may have 20,000 files: four anyports on
// one host share the two source addresses, and two clients and two origins the conns. More conns to one
// address and port of the origin than one source address has ports are open at the same time, without an
// error, and each answers once more when all are open.
func TestManyConnsOfFour(t *testing.T) {
	if os.Getenv("ANYPORT_SOAK") != "1" {
		t.Skip("make soak")
	}
	const edges, each = 4, 7300
	raiseFiles(t, 20_000)
	r := newRig(t)
	r.addSource(t)
	for range 2 {
		r.origin.spawn(t, holdingProcess("origin", "10.0.0.5:4711")).expect(t, "listens")
	}
	var instances []*proxy
	for i := range edges {
		file := strings.Replace(twoSourcesFile, "192.0.2.0/24", fmt.Sprintf("192.0.2.%d/26", i*256/edges), 1)
		instances = append(instances, r.edge.serveWith(t, file+"keepalive = \"0s\"\n"))
	}
	var clients []*process
	for i := range 2 {
		clients = append(clients, r.client.spawn(t, holdingProcess("client", fmt.Sprint(i), fmt.Sprint(edges*each/2))))
	}
	for _, c := range clients {
		c.expect(t, fmt.Sprintf("open %d, failed 0\n", edges*each/2))
	}
	used := map[string]int{}
	for i, p := range instances {
		s := p.status(t).route(t, "web")
		if s.ConnsActive != each || len(s.Ended["tcp"]) != 0 {
			t.Errorf("anyport %d has %d conns, %v have ended", i, s.ConnsActive, s.Ended)
		}
		for source, n := range s.Origins[0].SourcePorts {
			used[source] += n
		}
	}
	t.Logf("ports in use: %v", used)
	if used["10.0.0.1"]+used["10.0.0.2"] != edges*each || min(used["10.0.0.1"], used["10.0.0.2"]) < edges*each*4/10 {
		t.Errorf("ports in use: %v, want %d, about half of them of each source", used, edges*each)
	}
	for _, c := range clients {
		c.signal(t, syscall.SIGUSR1)
	}
	for _, c := range clients {
		c.expect(t, fmt.Sprintf("answered %d, failed 0\n", edges*each/2))
	}
}

// holderRole is the variable that makes this binary a holder of conns, which has a limit of files of its own.
const holderRole = "ANYPORT_TEST_HOLDER"

// holdingProcess is a process of this binary that holds conns.
func holdingProcess(role ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderRole+"="+strings.Join(role, " "))
	return cmd
}

// runHolder is the main function of a holder: it returns with an error, or is killed by the test.
func runHolder(role string) error {
	words := strings.Fields(role)
	if words[0] == "origin" {
		return holdOrigin(words[1])
	}
	which, _ := strconv.Atoi(words[1])
	n, _ := strconv.Atoi(words[2])
	return holdClient(which, n)
}

// holdOrigin echoes. Several of them share an address.
func holdOrigin(address string) error {
	shared := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	listener, err := shared.Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listens")
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() { // ends with the conn
			defer conn.Close()
			io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
		}()
	}
}

// holdClient opens n conns, to all four anyports in turn, and has each answer; and again after SIGUSR1.
func holdClient(which, n int) error {
	again := make(chan os.Signal, 1)
	signal.Notify(again, unix.SIGUSR1)
	conns := make([]net.Conn, n)
	dialer := net.Dialer{Timeout: patience, KeepAlive: -1}
	failed := eachOf(conns, func(i int) (err error) {
		to := fmt.Sprintf("192.0.2.%d:4711", i%4*64+1+which*8+i/4%8)
		if conns[i], err = dialer.Dial("tcp", to); err != nil {
			return err
		}
		conns[i].SetDeadline(time.Now().Add(patience))
		return echoed(conns[i], fmt.Sprintln(which, i))
	})
	fmt.Printf("open %d, failed %d\n", n-failed, failed)
	<-again
	failed = eachOf(conns, func(i int) error {
		conns[i].SetDeadline(time.Now().Add(patience))
		return echoed(conns[i], fmt.Sprintln(which, i, "again"))
	})
	fmt.Printf("answered %d, failed %d\n", n-failed, failed)
	select {}
}

// eachOf does something with each conn, 16 at a time, and prints the errors.
func eachOf(conns []net.Conn, do func(i int) error) (failed int) {
	var errors atomic.Int64
	var next atomic.Int64
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() { // ends after the last conn
			for i := int(next.Add(1)) - 1; i < len(conns); i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					errors.Add(1)
					fmt.Println("conn", i, err)
				}
			}
		})
	}
	running.Wait()
	return int(errors.Load())
}
