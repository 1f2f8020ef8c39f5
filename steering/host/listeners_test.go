package host

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netns"

	"anyport/config"
	"anyport/steering/netnstest"
)

func TestReadListeners(t *testing.T) {
	netnstest.InNamespace(t)
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	for network, addr := range map[string]string{"tcp4": "127.0.0.1:22", "tcp6": "[::]:80", "tcp": ":443"} {
		listener, err := lc.Listen(context.Background(), network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	unconnected, err := net.ListenPacket("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer unconnected.Close()
	connected, err := net.Dial("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()

	got, err := ReadListeners()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b Listener) int { return int(a.Addr.Port()) - int(b.Addr.Port()) })
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	name, pid := string(comm[:len(comm)-1]), os.Getpid()
	want := []Listener{
		{config.TCP, netip.MustParseAddrPort("127.0.0.1:22"), false, name, pid, false},
		{config.UDP, netip.MustParseAddrPort("127.0.0.1:53"), false, name, pid, false},
		{config.TCP, netip.MustParseAddrPort("[::]:80"), true, name, pid, false},
		{config.TCP, netip.MustParseAddrPort("[::]:443"), false, name, pid, false},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
}

// TestReadListenersOwn: a socket that this process opens or closes meanwhile is never
// taken for another's.
func TestReadListenersOwn(t *testing.T) {
	netnstest.InNamespace(t)
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	var busy sync.WaitGroup
	defer busy.Wait()
	over := make(chan struct{})
	defer close(over)
	busy.Go(func() { // ended by over
		runtime.LockOSThread() // and never unlocked: the thread ends in this namespace
		if err := netns.Set(here); err != nil {
			t.Error(err)
		}
		openAndClose(over)
	})
	times := 50
	if testing.Short() { // on an emulated machine
		times = 5
	}
	for range times {
		got, err := ReadListeners()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range got {
			if l.PID != os.Getpid() {
				t.Fatalf("a socket of this process is of %s: %v", l.Owner(), l.Addr)
			}
		}
	}
}

// openAndClose has a few sockets open at a time, each for a moment.
func openAndClose(over <-chan struct{}) {
	for {
		var open [16]net.PacketConn
		for i := range open {
			open[i], _ = net.ListenPacket("udp4", "127.0.0.1:0")
		}
		for _, conn := range open {
			if conn != nil {
				conn.Close()
			}
		}
		select {
		case <-over:
			return
		default:
		}
	}
}
