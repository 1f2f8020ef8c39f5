package instances

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"anyport/steering/netnstest"
)

// TestAnnounce: others learn what this process serves as it is now, and nothing any more once it has
// closed. The one that asks leaves itself out.
func TestAnnounce(t *testing.T) {
	netnstest.InNamespace(t)
	if all, err := List(""); err != nil || len(all) > 0 {
		t.Errorf("in a fresh namespace: %+v, %v", all, err)
	}
	one, two := announce(t), announce(t)
	if all, err := List(one.Name); err != nil || len(all) != 1 || all[0].PID != os.Getpid() || len(all[0].Prefixes) != 0 {
		t.Errorf("before it serves: %+v, %v", all, err)
	}
	served, retired := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/48")
	two.Update(&Notice{Config: "/etc/two.toml", Device: "anyport0", Program: 7, Prefixes: slices.Values([]netip.Prefix{served}), Retired: []netip.Prefix{retired}})
	for range 2 { // a notice is read again for each who asks
		all, err := List(one.Name)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		if i := all[0]; i.Config != "/etc/two.toml" || i.Device != "anyport0" || i.Program != 7 || !slices.Equal(i.Prefixes, []netip.Prefix{retired, served}) {
			t.Errorf("%+v", i)
		}
	}
	if all, err := List(""); err != nil || len(all) != 2 {
		t.Errorf("both: %+v, %v", all, err)
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	if all, err := List(one.Name); err != nil || len(all) > 0 {
		t.Errorf("after it has closed: %+v, %v", all, err)
	}
	if err := (*Announcement)(nil).Close(); err != nil {
		t.Error(err)
	}
}

func announce(t *testing.T) *Announcement {
	t.Helper()
	a, err := Announce()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// TestStrangersSockets: any user can listen on such a name, so whoever says nothing, or something that is
// not an answer, is left out, and delays the others by no more than the timeout.
func TestStrangersSockets(t *testing.T) {
	netnstest.InNamespace(t)
	announce(t)
	for name, answer := range map[string]func(net.Conn){
		"silent":  func(c net.Conn) { time.Sleep(2 * timeout) },
		"garbage": func(c net.Conn) { fmt.Fprintln(c, "hello") },
		"cut":     func(c net.Conn) { fmt.Fprint(c, `{"pid": 1, "prefixes": ["192.0.2.0/24"`) },
		"mistype": func(c net.Conn) { fmt.Fprintln(c, `{"pid": 1, "prefixes": ["192.0.2.0/99"]}`) },
	} {
		l, err := net.Listen("unix", SocketPrefix+name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() { // ended by Close
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				answer(conn)
				conn.Close()
			}
		}()
	}
	begun := time.Now()
	all, err := List("")
	if err != nil || len(all) != 1 || all[0].PID != os.Getpid() {
		t.Errorf("%+v, %v", all, err)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}

// TestPrivileged: root of this user namespace is, and a process that does not exist is not.
func TestPrivileged(t *testing.T) {
	if os.Geteuid() == 0 && !privileged(os.Getpid()) {
		t.Error("root is not")
	}
	if privileged(1 << 30) {
		t.Error("nobody is")
	}
}
