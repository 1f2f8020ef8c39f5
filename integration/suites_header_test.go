package integration

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// headerReader is a server of others that reads anyport's headers, and says in its log whom they name.
type headerReader struct {
	name    string
	tool    string
	file    string   // DIR is a directory of its own
	args    []string // FILE is the file
	headers []string // protocol and proxy_protocol
	ask     func(conn net.Conn) error
	says    func(client, dst netip.AddrPort) string
}

var headerReaders = []headerReader{
	{"apache2, mod_remoteip", "apache2", `
ServerRoot DIR
PidFile DIR/pid
ServerName origin
Listen 10.0.0.5:4000
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule remoteip_module /usr/lib/apache2/modules/mod_remoteip.so
RemoteIPProxyProtocol On
ErrorLog DIR/log
LogFormat "client %a" named
CustomLog DIR/log named
`, []string{"-X", "-f", "FILE"}, []string{"tcp v1", "tcp v2"}, askHTTP,
		func(client, _ netip.AddrPort) string { return "client " + client.Addr().String() + "\n" }}, // it ignores the dst
	{"dovecot", "dovecot", `
protocols = imap
base_dir = DIR/run
log_path = DIR/log
ssl = no
haproxy_trusted_networks = 10.0.0.0/24
passdb {
  driver = static
  args = password=x
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=DIR
}
service imap-login {
  inet_listener imap {
    address = 10.0.0.5
    port = 4000
    haproxy = yes
  }
  inet_listener imaps {
    port = 0
  }
}
`, []string{"-F", "-c", "FILE"}, []string{"tcp v1", "tcp v2"}, askIMAP,
		func(client, dst netip.AddrPort) string {
			return fmt.Sprintf("rip=%s, lip=%s, ", client.Addr(), dst.Addr())
		}},
	{"dnsdist", "dnsdist", `
setLocal("10.0.0.5:4000")
setACL({"0.0.0.0/0", "::/0"})
setProxyProtocolACL({"10.0.0.0/24"})
local file = io.open("DIR/log", "a")
addAction(AllRule(), LuaAction(function(dq)
  file:write("named "..dq.remoteaddr:toStringWithPort().." "..dq.localaddr:toStringWithPort().."\n")
  file:flush()
  return DNSAction.Spoof, "192.0.2.99"
end))
`, []string{"--supervised", "-C", "FILE"}, []string{"tcp v2", "udp v2"}, askDNS,
		func(client, dst netip.AddrPort) string { return fmt.Sprintf("named %v %v\n", client, dst) }},
}

// TestSuitesHeaders: servers that nobody here wrote read the right client, and dst where they tell
// it, from anyport's headers of each version and family.
func TestSuitesHeaders(t *testing.T) {
	if os.Getenv("ANYPORT_SUITES") != "1" {
		t.Skip("make suites")
	}
	for _, reader := range headerReaders {
		for _, header := range reader.headers {
			t.Run(reader.name+" "+header, func(t *testing.T) { reader.reads(t, header) })
		}
	}
}

func (s headerReader) reads(t *testing.T, header string) {
	t.Parallel()
	r := newRig(t)
	dir, err := os.MkdirTemp("", "reader") // short, for the sockets in it, and open to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(s.file, "DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, a := range s.args {
		args = append(args, strings.ReplaceAll(a, "FILE", file))
	}
	r.origin.spawn(t, exec.Command(needTool(t, s.tool), args...))
	protocol, version, _ := strings.Cut(header, " ")
	r.edge.serveWith(t, fmt.Sprintf(`
[route.all]
protocol = %q
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5:4000"]
proxy_protocol = %q
proxy_tlvs = [%s]
`, protocol, version, map[string]string{"v2": `"unique-id", "crc32c", "0xE1=edge"`}[version]))
	for _, dst := range []string{"192.0.2.7:81", "[2001:db8:1::7]:4711"} {
		var want string
		eventually(t, s.name+" answers", func() bool { // it may still start
			conn := r.client.dial(t, protocol, dst)
			defer conn.Close()
			want = s.says(netip.MustParseAddrPort(conn.LocalAddr().String()), netip.MustParseAddrPort(dst))
			return s.ask(conn) == nil
		})
		eventually(t, s.name+" logs "+want, func() bool {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return strings.Contains(string(log), want)
		})
	}
}

func askHTTP(conn net.Conn) error {
	io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err == nil && !strings.HasPrefix(string(answer), "HTTP/1") {
		err = fmt.Errorf("answered %q", answer)
	}
	return err
}

func askIMAP(conn net.Conn) error {
	if _, err := io.WriteString(conn, "a logout\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && !strings.Contains(string(answer), "a OK") {
		err = fmt.Errorf("answered %q", answer)
	}
	return err
}

func askDNS(conn net.Conn) error {
	question := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("named.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	b, err := question.Pack()
	if err != nil {
		return err
	}
	if _, tcp := conn.(*net.TCPConn); tcp {
		b = append([]byte{0, byte(len(b))}, b...)
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	n, err := conn.Read(make([]byte, 1<<16))
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}
