package upgrade

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/config"
	"anyport/proxy"
	"anyport/proxy/tcp"
	"anyport/proxy/udp"
	"anyport/steering/host"
)

// connect gives both ends of a stream, as the two processes have them.
func connect(t *testing.T) (old, young *handover.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*handover.Conn{}
	for i, fd := range fds {
		t.Setenv("ANYPORT_HANDOVER", strconv.Itoa(fd))
		if ends[i], err = handover.Predecessor(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
		if err := ends[i].SetTimeout(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

// met is the new side after an offer.
func met(t *testing.T, o Offer) (old *handover.Conn, p *Predecessor) {
	t.Helper()
	old, young := connect(t)
	if err := o.send(old); err != nil {
		t.Fatal(err)
	}
	p, err := Meet(young)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return old, p
}

// TestOffer: what the old process offers is what the new one gets, and its files are copies.
func TestOffer(t *testing.T) {
	sent := Offer{
		FDs:       map[string]int{"link": memfd(t, 7), FDAdmin: memfd(t, 8), FDAccess: memfd(t, 9)},
		Stored:    []string{"tcp/0"},
		Listeners: []host.Listener{{Protocol: config.TCP, Addr: addr("0.0.0.0:22"), Process: "sshd", PID: 3}},
		Draining:  []string{"web"}, Access: "/var/log/access", PeersChanged: time.Hour,
	}
	_, p := met(t, sent)
	for name, size := range map[string]int64{"link": 7, FDAdmin: 8, FDAccess: 9} {
		var stat unix.Stat_t
		fd := p.Take(name)
		if err := unix.Fstat(fd, &stat); err != nil || stat.Size != size || fd == sent.FDs[name] {
			t.Errorf("%s has %d bytes, %v, want %d", name, stat.Size, err, size)
		}
		unix.Close(fd)
		if again := p.Take(name); again != -1 {
			t.Errorf("%s can be taken twice", name)
		}
	}
	sent.FDs, p.FDs = nil, nil
	if diff := cmp.Diff(sent, p.Offer, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("-sent +got:\n%s", diff)
	}
}

// TestOfferWire holds the keys that processes of other versions read.
func TestOfferWire(t *testing.T) {
	text, err := json.Marshal(wireOffer{FDs: []string{"a"}, Stored: []string{"b"}, Listeners: []host.Listener{}, Draining: []string{"c"}, Access: "d"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"fds":["a"],"stored":["b"],"listeners":[],"draining":["c"],"access":"d"}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	states := proxy.OriginStates{"web": {"10.0.0.5:80": {Forced: "down", Failing: true, Why: "by hand"}}}
	if text, err = json.Marshal(wireOffer{Origins: states}); err != nil || !strings.Contains(string(text), `"origins":{"web":{"10.0.0.5:80":{"forced":"down","failing":true,"why":"by hand"}}}`) {
		t.Errorf("%s, %v", text, err)
	}
	if text, err = json.Marshal(Ahead{ConnFiles: 3}); err != nil || string(text) != `{"conn_files":3}` {
		t.Errorf("%s, %v", text, err)
	}
	if text, err = json.Marshal(Ahead{PeersChanged: 7}); err != nil || string(text) != `{"conn_files":0,"peers_changed":7}` {
		t.Errorf("%s, %v", text, err)
	}
}

// TestMeetRefuses: an offer that cannot be right is refused, and its files are closed.
func TestMeetRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(old *handover.Conn) error
		want string
	}{
		{"another message", func(old *handover.Conn) error { return old.Send(handover.Yours, nil, memfd(t, 0)) }, `unexpected message "yours", want "offer"`},
		{"a refusal", func(old *handover.Conn) error { return old.Refuse(errors.New("too busy")) }, "the process to be replaced: too busy"},
		{"fewer files than names", func(old *handover.Conn) error {
			return old.Send(handover.Offer, wireOffer{FDs: []string{"a", "b"}}, memfd(t, 0))
		}, "1 file descriptors came and 2 were named"},
		{"more files than names", func(old *handover.Conn) error {
			return old.Send(handover.Offer, wireOffer{}, memfd(t, 0))
		}, "1 file descriptors came and 0 were named"},
		{"no JSON object", func(old *handover.Conn) error { return old.Send(handover.Offer, "hello", memfd(t, 0)) }, `the message "offer" cannot be read`},
		{"an end", func(old *handover.Conn) error { return old.Close() }, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			old, young := connect(t)
			if err := test.send(old); err != nil {
				t.Fatal(err)
			}
			before := openFiles(t)
			if p, err := Meet(young); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, %v, want %s", p, err, test.want)
			}
			if now := openFiles(t); now > before {
				t.Errorf("%d files are open, %d before", now, before)
			}
		})
	}
}

// TestOneNameTwice: of two files with one name one is kept, and none is lost.
func TestOneNameTwice(t *testing.T) {
	old, young := connect(t)
	if err := old.Send(handover.Offer, wireOffer{FDs: []string{"a", "a"}}, memfd(t, 1), memfd(t, 2)); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	p, err := Meet(young)
	if err != nil || len(p.FDs) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	p.Close()
	if now := openFiles(t); now > before {
		t.Errorf("%d files are open, %d before", now, before)
	}
}

// TestTakeAdmin: the listener must be the admin socket of the file, or the new process would answer
// where nobody asks.
func TestTakeAdmin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	other, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fdOf := func(l interface{ File() (*os.File, error) }) int {
		file, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return int(file.Fd())
	}
	for _, test := range []struct {
		name, path string
		fds        map[string]int
		want       string // the error; "": none
	}{
		{"none", path, nil, ""},
		{"the same", path, map[string]int{FDAdmin: fdOf(listener)}, ""},
		{"another path", path + "2", map[string]int{FDAdmin: fdOf(listener)}, "cannot become"},
		{"no path any more", "", map[string]int{FDAdmin: fdOf(listener)}, "cannot become \"\""},
		{"no listener", path, map[string]int{FDAdmin: memfd(t, 0)}, "admin.socket: "},
		{"a TCP listener", other.Addr().String(), map[string]int{FDAdmin: fdOf(other)}, "gave a listener on tcp"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, p := met(t, Offer{FDs: test.fds})
			before := openFiles(t)
			got, err := p.TakeAdmin(test.path)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if (got != nil) != (test.want == "" && test.fds != nil) {
				t.Errorf("got %v", got)
			}
			if got != nil {
				got.SetUnlinkOnClose(false)
				got.Close()
			}
			if now := openFiles(t); now >= before && test.fds != nil { // the one that was taken is closed
				t.Errorf("%d files are open, %d before", now, before)
			}
		})
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of the other process is gone: %v", err)
	}
}

// TestReceiveFlows plays the old process while flows come.
func TestReceiveFlows(t *testing.T) {
	wrong := someFlows(t, 1)
	wrong[0].Listener = 1
	nowhere := someFlows(t, 1)
	nowhere[0].Origin = netip.AddrPort{}
	send := func(flows []udp.Flow) func(*testing.T, *handover.Conn) {
		return func(t *testing.T, old *handover.Conn) {
			if err := old.Send(handover.Flows, flows, udp.Detach(flows)...); err != nil {
				t.Error(err)
			}
		}
	}
	yours := func(t *testing.T, old *handover.Conn) {
		if err := old.Send(handover.Yours, nil); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct {
		name  string
		steps []func(*testing.T, *handover.Conn)
		flows int
		want  string // the error; "": none
	}{
		{"none", []func(*testing.T, *handover.Conn){yours}, 0, ""},
		{"two batches", []func(*testing.T, *handover.Conn){send(someFlows(t, 3)), send(someFlows(t, 2)), yours}, 5, ""},
		{"a listener too many", []func(*testing.T, *handover.Conn){send(wrong)}, 0, "listen.workers differs"},
		{"no origin", []func(*testing.T, *handover.Conn){send(nowhere)}, 0, "cannot be"},
		{"a socket too many", []func(*testing.T, *handover.Conn){func(t *testing.T, old *handover.Conn) {
			flows := someFlows(t, 1)
			_ = old.Send(handover.Flows, flows, memfd(t, 0), memfd(t, 0))
		}}, 0, "do not use all"},
		{"a socket too few", []func(*testing.T, *handover.Conn){func(t *testing.T, old *handover.Conn) {
			_ = old.Send(handover.Flows, someFlows(t, 1))
		}}, 0, "a flow with socket 0 of 0"},
		{"no list", []func(*testing.T, *handover.Conn){func(_ *testing.T, old *handover.Conn) {
			_ = old.Send(handover.Flows, "hello", memfd(t, 0))
		}}, 0, `the message "flows" cannot be read`},
		{"another message", []func(*testing.T, *handover.Conn){func(_ *testing.T, old *handover.Conn) {
			_ = old.Send(handover.Go, nil, memfd(t, 0))
		}}, 0, `unexpected message "go", want "flows" or "yours"`},
		{"an end", []func(*testing.T, *handover.Conn){func(_ *testing.T, old *handover.Conn) { old.Close() }}, 0, "broken pipe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			old, p := met(t, Offer{FDs: map[string]int{"map/a": memfd(t, 0)}})
			for _, step := range test.steps {
				step(t, old)
			}
			err := p.ReceiveFlows(1)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err == nil {
				if _, err := old.Expect(handover.Prepared); err != nil {
					t.Errorf("it did not say that it is prepared: %v", err)
				}
			}
			if n := p.FlowFiles(); n != test.flows {
				t.Errorf("%d files of flows, want %d", n, test.flows)
			}
			before := openFiles(t)
			p.Close()
			if now := openFiles(t); now != before-test.flows-1 {
				t.Errorf("Close leaves %d files of %d, want %d fewer", now, before, test.flows+1)
			}
		})
	}
}

// TestReady: this process serves when the other one says go or has ended, and not if it is refused.
func TestReady(t *testing.T) {
	for _, test := range []struct {
		name  string
		old   func(*handover.Conn)
		ahead Ahead
		want  string // the error; "": it is to serve
	}{
		{"go", func(old *handover.Conn) { _ = old.Send(handover.Go, Ahead{12, time.Hour}) }, Ahead{12, time.Hour}, ""},
		{"go from an older process", func(old *handover.Conn) { _ = old.Send(handover.Go, nil) }, Ahead{}, ""},
		{"go with nonsense", func(old *handover.Conn) { _ = old.Send(handover.Go, Ahead{ConnFiles: -5}) }, Ahead{}, ""},
		{"refused", func(old *handover.Conn) { _ = old.Refuse(errors.New("stopping")) }, Ahead{}, "the process to be replaced serves on: stopping"},
		{"another message", func(old *handover.Conn) { _ = old.Send(handover.Conns, nil) }, Ahead{}, `unexpected message "conns", want "go"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			old, p := met(t, Offer{})
			test.old(old)
			ahead, err := p.Ready()
			if ahead != test.ahead || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, %v, want %+v, %q", ahead, err, test.ahead, test.want)
			}
		})
	}
	t.Run("an end", func(t *testing.T) {
		old, p := met(t, Offer{})
		go func() { // ended by the message
			_, _ = old.Expect(handover.Ready)
			old.Close()
		}()
		if ahead, err := p.Ready(); ahead != (Ahead{}) || err != nil {
			t.Errorf("%+v, %v, want to serve", ahead, err)
		}
	})
}

// TestReceiveConns: conns come in batches until the end of the stream, each with its files; a batch
// that is not right stays with the other process.
func TestReceiveConns(t *testing.T) {
	old, p := met(t, Offer{})
	answers := make(chan error, 9)
	go func() { // ended by the end of the stream
		defer old.Close()
		for _, n := range []int{1, 3} {
			conns := someConns(t, n)
			var fds []int
			for _, c := range conns {
				fds = append(fds, c.FDs...)
			}
			_ = old.Send(handover.Conns, conns, fds...)
			_, err := old.Expect(handover.Taken)
			answers <- err
		}
	}()
	var got []tcp.Conn
	n, err := p.ReceiveConns(func(conns []tcp.Conn) { got = append(got, conns...) })
	if n != 4 || err != nil || len(got) != 4 {
		t.Fatalf("%d conns, %v, want 4", n, err)
	}
	for range 2 {
		if err := <-answers; err != nil {
			t.Errorf("a batch was not taken: %v", err)
		}
	}
	for i, c := range got[1:] {
		var stat unix.Stat_t
		if err := unix.Fstat(c.FDs[1], &stat); err != nil || int(stat.Size) != 2*i+1 {
			t.Errorf("conn %d has the file %d, %v", i, stat.Size, err)
		}
	}
	for _, c := range got {
		for _, fd := range c.FDs {
			unix.Close(fd)
		}
	}
}

func TestReceiveConnsRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*tcp.Conn)
		extra  int // files
		want   string
	}{
		{"a file too many", func(*tcp.Conn) {}, 1, "1 conns came with 3 file descriptors"},
		{"a file too few", func(c *tcp.Conn) { c.FDs = c.FDs[:1] }, 0, "1 conns came with 1 file descriptors"},
		{"no client", func(c *tcp.Conn) { c.Client = netip.AddrPort{} }, 0, "cannot be"},
		{"a pipe without files", func(c *tcp.Conn) { c.Ways[0].Piped = 1 }, 0, "1 conns came with 2 file descriptors"},
	} {
		t.Run(test.name, func(t *testing.T) {
			old, p := met(t, Offer{})
			conns := someConns(t, 1)
			test.change(&conns[0])
			fds := conns[0].FDs
			for range test.extra {
				fds = append(fds, memfd(t, 0))
			}
			if err := old.Send(handover.Conns, conns, fds...); err != nil {
				t.Fatal(err)
			}
			before := openFiles(t)
			n, err := p.ReceiveConns(func([]tcp.Conn) { t.Error("it is adopted") })
			if n != 0 || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d, %v, want %s", n, err, test.want)
			}
			if _, err := old.Expect(handover.Taken); err == nil {
				t.Error("it was taken")
			}
			if now := openFiles(t); now > before {
				t.Errorf("%d files are open, %d before", now, before)
			}
		})
	}
	t.Run("another message", func(t *testing.T) {
		old, p := met(t, Offer{})
		if err := old.Send(handover.Yours, nil); err != nil {
			t.Fatal(err)
		}
		if n, err := p.ReceiveConns(nil); n != 0 || err == nil || !strings.Contains(err.Error(), `unexpected message "yours", want "conns"`) {
			t.Errorf("%d, %v", n, err)
		}
	})
}
