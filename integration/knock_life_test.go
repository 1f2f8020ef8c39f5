package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// knockSecret is the key of alice in the files that writeKeys makes.
const knockSecret = "0123456789abcdef0123456789abcdef"

// writeKeys makes a file of keys that belongs to a user.
func writeKeys(t *testing.T, uid int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("alice MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	give(t, path, "")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	chown(t, path, uid)
	return path
}

// signKnock is a datagram of alice's for the route ssh, which names the client of the rig.
func signKnock(made time.Time, nonce int) string {
	text := fmt.Sprintf("anyport-knock 1 alice %d %032x ssh %s", made.Unix(), nonce, clientV4)
	mac := hmac.New(sha256.New, []byte(knockSecret))
	mac.Write([]byte(text))
	return fmt.Sprintf("%s %x", text, mac.Sum(nil))
}

// knocks reads how many knocks had that verdict since the process began.
func (p *proxy) knocks(t *testing.T, verdict string) int {
	t.Helper()
	var s struct{ Knocks map[string]int }
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Knocks[verdict]
}

// ring sends a datagram to where one knocks.
func (h *host) ring(t *testing.T, datagram string) {
	t.Helper()
	conn := h.dial(t, "udp", dstV4+":62201")
	defer conn.Close()
	if _, err := conn.Write([]byte(datagram)); err != nil {
		t.Fatal(err)
	}
}

// TestKnockOutlives: an open door stays open over a drain, upgrades, also to another steering program,
// and a kill with pins, and over all of them one datagram opens it once.
func TestKnockOutlives(t *testing.T) {
	t.Parallel()
	other := otherRelease(t)
	r := newRig(t)
	r.edge.withBPFFS(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, fmt.Sprintf("[knock]\nkeys = %q\n[route.ssh]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [4711]\norigins = [\"10.0.0.5\"]\nknock = [\"spa\"]\nknock_window = \"1h\"\n", writeKeys(t, 0), servedV4))
	f := newFamily(t, p)
	datagram := signKnock(time.Now().Add(55*time.Second), 7) // in time for almost two minutes
	r.client.ring(t, datagram)
	eventually(t, "a datagram opens the door", func() bool { return p.knocks(t, "opened") == 1 })
	stays := func(when string) {
		t.Helper()
		if got := p.doors(t); len(got) != 1 || got[0] != "ssh "+clientV4 {
			t.Errorf("%s: doors: %v", when, got)
		}
		if err := r.client.admitted(dstV4 + ":4711"); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		opened, refused := p.knocks(t, "opened"), p.knocks(t, "replayed")+p.knocks(t, "late")
		eventually(t, when+": the datagram is refused", func() bool {
			r.client.ring(t, datagram)
			return p.knocks(t, "replayed")+p.knocks(t, "late") > refused
		})
		if got := p.knocks(t, "opened"); got != opened {
			t.Errorf("%s: the same datagram has opened a door again", when)
		}
	}
	stays("at first")

	for _, args := range [][]string{{"drain", "--route", "ssh"}, {"drain", "--route", "ssh", "--undo"}} {
		if got := anyport(t, append(args, "--socket", p.socket)...); got.status != 0 {
			t.Fatalf("%v: %+v", args, got)
		}
		if len(args) == 3 && outcome(r.client.admitted(dstV4+":4711")) != refused {
			t.Error("a route that drains takes a conn through a door")
		}
	}
	stays("after a drain")
	f.upgrade(t)
	stays("after an upgrade")
	f.upgradeTo(t, other)
	stays("after an upgrade to another program")
	f.upgrade(t)
	stays("after an upgrade back")
	f.kill(t)
	again := p.restart(t)
	stays("after a kill")
	again.signal(t, syscall.SIGTERM)
	again.signal(t, syscall.SIGINT) // does not wait for conns
	again.wait(t)
}

// TestKnockAddress: the door opens to the address that the datagram names, behind a NAT for instance, and not to
// its sender. anyport itself has no privileges here.
func TestKnockAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const other = "198.51.100.77"
	r.client.output(t, "ip", "address", "add", other+"/24", "dev", "edge0")
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.serve(t, "["+originV6+"]:4711", echo)
	keys := writeKeys(t, 65534)
	p := r.edge.launchAs(t, runForAll(t, "65534"), fmt.Sprintf("[steering]\nuser = \"65534\"\n[knock]\nkeys = %q\n[route.ssh]\nprotocol = \"tcp\"\nprefixes = [%q, %q]\nports = [4711]\norigins = [\"10.0.0.5\", %q]\nknock = [\"spa\"]\nknock_window = \"1h\"\ndenied = \"refuse\"\n", keys, servedV4, servedV6, originV6))
	p.expect(t, "msg=serving")
	eventually(t, "anyport knock opens the door", func() bool { // not with what is made in the second of the start
		r.client.output(t, program, "knock", dstV4, "--route", "ssh", "--key", keys, "--address", other)
		return len(p.doors(t)) == 1
	})
	if got := p.doors(t); got[0] != "ssh "+other {
		t.Fatalf("doors: %v", got)
	}
	conn, err := r.client.tryDial("tcp", other, dstV4+":4711")
	if err != nil {
		t.Fatal("from the address that was named:", err)
	}
	talk(t, conn, "let in")
	conn.Close()
	if err := r.client.admitted(dstV4 + ":4711"); outcome(err) != refused {
		t.Error("from the address that sent the datagram:", err)
	}

	r.client.output(t, program, "knock", dstV6, "--route", "ssh", "--key", keys)
	eventually(t, "a datagram over IPv6 opens the door", func() bool { return len(p.doors(t)) == 2 })
	if err := r.client.admitted("[" + dstV6 + "]:4711"); err != nil {
		t.Error("over IPv6:", err)
	}

	if err := os.WriteFile(keys, []byte("bob YW5vdGhlciBrZXkgb2YgYm9i\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("reload with other keys: %+v", got)
	}
	r.client.ring(t, signKnock(time.Now(), 1)) // alice's
	eventually(t, "a key that was removed opens nothing", func() bool { return p.knocks(t, "unsigned") == 1 })
	opened := p.knocks(t, "opened")
	r.client.output(t, program, "knock", dstV4, "--route", "ssh", "--key", keys, "--address", other)
	eventually(t, "the new key opens the door", func() bool { return p.knocks(t, "opened") == opened+1 })
	if got := p.doors(t); len(got) != 2 {
		t.Errorf("doors after the change of keys: %v", got)
	}

	if err := os.Chmod(keys, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := anyport(t, "reload", "--socket", p.socket); got.status == 0 || !strings.Contains(got.stderr, "chmod 600") {
		t.Errorf("reload with keys that others may read: %+v", got)
	}
}

// TestKnockFlow: a UDP flow that began through a door outlives its window, and a new one needs a new knock. The
// sequence counts over IPv6, too.
func TestKnockFlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answer(t, "["+originV6+"]:4711", named("origin"))
	p := r.edge.serveWith(t, fmt.Sprintf("[route.game]\nprotocol = \"udp\"\nprefixes = [%q]\nports = [4711]\norigins = [%q]\nknock = [7000, 1234, 9000]\nknock_window = \"3s\"\n", servedV6, originV6))
	dst := "[" + dstV6 + "]:"
	var flow net.Conn
	eventually(t, "a knock by datagrams lets a flow begin", func() bool { // a loaded machine may miss the window
		for _, port := range []string{"7000", "1234", "9000"} {
			conn := r.client.dial(t, "udp", dst+port)
			conn.Write([]byte("knock"))
			conn.Close()
		}
		flow = r.client.dial(t, "udp", dst+"4711")
		_, err := flow.Write([]byte("hello"))
		flow.SetReadDeadline(time.Now().Add(silence))
		n, readErr := flow.Read(make([]byte, 100))
		return err == nil && readErr == nil && n > 0
	})
	p.expect(t, "opened a door", "route=game", "by=ports", "client="+clientV6)
	if p.knocks(t, "opened_by_ports") == 0 {
		t.Error("the knock is not counted")
	}
	eventually(t, "the door closes", func() bool { return len(p.doors(t)) == 0 })
	if got := question(t, flow, "again"); !strings.Contains(got, "origin") {
		t.Errorf("the flow is answered %q", got)
	}
	if _, err := trySend(r.client.dial(t, "udp", dst+"4711"), "hello"); outcome(err) != refused {
		t.Error("a new flow after the window:", err)
	}
}

// trySend asks and waits for an answer or an error.
func trySend(conn net.Conn, text string) (int, error) {
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(text)); err != nil {
		return 0, err
	}
	return conn.Read(make([]byte, 1500))
}

// TestKnockCookies: under SYN cookies, each conn to a port of the sequence that another route takes is looked at
// twice, and SYNs come again. Neither counts twice nor starts the sequence again.
func TestKnockCookies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.sysctl(t, map[string]string{"net/ipv4/tcp_syncookies": "2"})
	for _, port := range []string{"4711", "7000", "1234", "9000"} {
		r.origin.serve(t, "10.0.0.5:"+port, echo)
	}
	p := r.edge.serveWith(t, fmt.Sprintf("[route.ssh]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [4711]\norigins = [\"10.0.0.5\"]\nknock = [7000, 1234, 9000]\nknock_window = \"1h\"\n[route.open]\nprotocol = \"tcp\"\nprefixes = [%[1]q]\nports = [7000, 1234, 9000]\norigins = [\"10.0.0.5\"]\n", servedV4))
	var raw int
	var err error
	r.client.do(func() { raw, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW) })
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	again := func(from net.Addr, port uint16) {
		dst := netip.AddrPortFrom(netip.MustParseAddr(dstV4), port)
		if err := unix.Sendto(raw, forgedSYN(addrPort(from), dst), 0, &unix.SockaddrInet4{Addr: dst.Addr().As4()}); err != nil {
			t.Fatal(err)
		}
	}
	seen := func() string {
		return r.edge.output(t, program, "explain", "--socket", p.socket, "tcp", dstV4+":4711", "--from", clientV4)
	}
	eventually(t, "the knock opens the door", func() bool { // within ten seconds, which a loaded machine may miss
		var before net.Addr
		for i, port := range []uint16{7000, 1234, 9000} {
			conn, err := r.client.tryDial("tcp", "", fmt.Sprintf("%s:%d", dstV4, port))
			if err != nil {
				t.Fatal(err)
			}
			talk(t, conn, "open")
			if before != nil {
				again(before, []uint16{7000, 1234}[i-1])
			}
			before = conn.LocalAddr()
			conn.Close()
			if want := fmt.Sprintf("knock needed: %d of 3 seen", i+1); i < 2 && !strings.Contains(seen(), want) {
				t.Logf("after %d knocks: not %q", i+1, want)
				return false
			}
		}
		return r.client.admitted(dstV4+":4711") == nil
	})
	if got := r.edge.output(t, "cat", "/proc/net/netstat"); !strings.Contains(got, "SyncookiesSent") {
		t.Error("no SYN cookies")
	}
}

// TestKnockKeysOfOthers: check says which user can read the keys.
func TestKnockKeysOfOthers(t *testing.T) {
	needRoot(t)
	t.Parallel()
	keys := writeKeys(t, 0)
	file := inFile(t, fmt.Sprintf("[knock]\nkeys = %q\n[route.ssh]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [22]\norigins = [\"10.0.0.5\"]\nknock = [\"spa\"]\n", keys, servedV4))
	if got := anyport(t, "check", "-c", file); got.status != 0 {
		t.Errorf("as root: %+v", got)
	}
	give(t, file, "")
	cmd := exec.Command(program, "check", "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "this user may not read them") {
		t.Errorf("as another user: %v %s", err, out)
	}
}
