package integration

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// headerReader is a server that others wrote: it reads PROXY headers, and writes to its log which
// client and which dst they name.
type headerReader struct {
	name    string
	command []string          // DIR is the server's own directory
	files   map[string]string // in DIR
	dirs    map[string]string // in DIR, and the user that owns each
	headers []string          // protocol and proxy_protocol
	ask     func(conn net.Conn) error
	logs    func(client, dst netip.AddrPort) string // in DIR/log, or printed
}

// namedInFull is the line of a log that has both addresses and both ports.
func namedInFull(client, dst netip.AddrPort) string {
	return fmt.Sprintf("client %v %d dst %v %d\n", client.Addr(), client.Port(), dst.Addr(), dst.Port())
}

// tcpHeaders and udpHeaders are the versions of the PROXY header. A question is one datagram of a
// flow of its own, so that a server of "v2" reads "v2-first". No server reads "spp".
var (
	tcpHeaders = []string{"tcp v1", "tcp v2"}
	udpHeaders = []string{"udp v2", "udp v2-first"}
)

var headerReaders = []headerReader{
	{
		name: "haproxy", command: []string{"haproxy", "-db", "-f", "DIR/conf"},
		files: map[string]string{"conf": `
global
    log stdout format raw local0
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 20s
frontend named
    bind 10.0.0.5:4000 accept-proxy
    log global
    log-format "client %[src] %[src_port] dst %[dst] %[dst_port]"
    http-request return status 200
`}, headers: tcpHeaders, ask: askHTTP, logs: namedInFull,
	},
	{
		name: "nginx", command: []string{"nginx", "-p", "DIR", "-c", "DIR/conf"},
		files: map[string]string{"conf": `
daemon off;
master_process off;
pid DIR/pid;
error_log stderr;
events {}
http {
    log_format named 'client $proxy_protocol_addr $proxy_protocol_port dst $proxy_protocol_server_addr $proxy_protocol_server_port';
    access_log DIR/log named;
    client_body_temp_path DIR/body;
    proxy_temp_path       DIR/proxy;
    fastcgi_temp_path     DIR/fastcgi;
    uwsgi_temp_path       DIR/uwsgi;
    scgi_temp_path        DIR/scgi;
    server {
        listen 10.0.0.5:4000 proxy_protocol;
        return 200;
    }
}
`}, headers: tcpHeaders, ask: askHTTP, logs: namedInFull,
	},
	{
		name: "apache2, mod_remoteip", command: []string{"apache2", "-X", "-f", "DIR/conf"},
		files: map[string]string{"conf": `
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
LogFormat "client %a %{remote}p" named
CustomLog DIR/log named
`}, headers: tcpHeaders, ask: askHTTP,
		logs: func(client, _ netip.AddrPort) string { // it ignores the dst
			return fmt.Sprintf("client %v %d\n", client.Addr(), client.Port())
		},
	},
	{
		name: "dovecot", command: []string{"dovecot", "-F", "-c", "DIR/conf"},
		files: map[string]string{"conf": `
protocols = imap
base_dir = DIR/run
log_path = DIR/log
ssl = no
haproxy_trusted_networks = 10.0.0.0/24
login_log_format_elements = rip=%r rport=%b lip=%l lport=%a
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
`}, headers: tcpHeaders, ask: askIMAP,
		logs: func(client, dst netip.AddrPort) string {
			return fmt.Sprintf("rip=%v, rport=%d, lip=%v, lport=%d\n", client.Addr(), client.Port(), dst.Addr(), dst.Port())
		},
	},
	{
		name: "postfix, postscreen",
		// "postfix start-fg" would leave its children when it is killed.
		command: []string{"sh", "-c", "postfix -c DIR check; exec /usr/lib/postfix/sbin/master -c DIR -d"},
		dirs:    map[string]string{"queue": "root", "data": "postfix"},
		files: map[string]string{"main.cf": `
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/log
maillog_file_prefixes = DIR
myhostname = origin.example
mynetworks = 0.0.0.0/0 [::]/0
inet_protocols = all
postscreen_upstream_proxy_protocol = haproxy
postscreen_cache_map =
smtpd_peername_lookup = no
local_recipient_maps =
alias_maps =
`, "master.cf": `
10.0.0.5:4000 inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`}, headers: tcpHeaders, ask: askSMTP,
		logs: func(client, dst netip.AddrPort) string {
			return fmt.Sprintf("CONNECT from [%v]:%d to [%v]:%d\n", client.Addr(), client.Port(), dst.Addr(), dst.Port())
		},
	},
	{
		name: "dnsdist", command: []string{"dnsdist", "--supervised", "-C", "DIR/conf"},
		files: map[string]string{"conf": `
setLocal("10.0.0.5:4000")
setACL({"0.0.0.0/0", "::/0"})
setProxyProtocolACL({"10.0.0.0/24"})
local file = io.open("DIR/log", "a")
addAction(AllRule(), LuaAction(function(dq)
  file:write("named "..dq.remoteaddr:toStringWithPort().." "..dq.localaddr:toStringWithPort().."\n")
  file:flush()
  return DNSAction.Spoof, "192.0.2.99"
end))
`}, headers: append([]string{"tcp v2"}, udpHeaders...), ask: askDNS,
		logs: func(client, dst netip.AddrPort) string { return fmt.Sprintf("named %v %v\n", client, dst) },
	},
	{
		name: "unbound", command: []string{"unbound", "-d", "-c", "DIR/conf"},
		files: map[string]string{"conf": `
server:
  directory: "DIR"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  logfile: "DIR/log"
  interface: 10.0.0.5@4000
  proxy-protocol-port: 4000
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  local-zone: "example." inform
  local-data: "named.example. A 192.0.2.99"
remote-control:
  control-enable: no
`}, headers: append([]string{"tcp v2"}, udpHeaders...), ask: askDNS,
		logs: func(client, _ netip.AddrPort) string { // it ignores the dst
			return fmt.Sprintf("inform %v@%d named.example. A IN\n", client.Addr(), client.Port())
		},
	},
	{
		name: "knot", command: []string{"knotd", "-c", "DIR/conf"},
		files: map[string]string{"conf": `
server:
  rundir: DIR
  user: root
  listen: 10.0.0.5@4000
  proxy-allowlist: 10.0.0.0/24
database:
  storage: DIR
log:
  - target: DIR/log
    any: debug
template:
  - id: default
    storage: DIR
zone:
  - domain: example
`, "example.zone": "$ORIGIN example.\n@ 60 SOA ns mail 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.99\n"},
		headers: udpHeaders, ask: askNotify, // 3.2 reads no header over TCP
		logs: func(client, _ netip.AddrPort) string { // it ignores the dst
			return fmt.Sprintf("denied, action notify, remote %v@%d,", client.Addr(), client.Port())
		},
	},
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

func askSMTP(conn net.Conn) error {
	if _, err := io.WriteString(conn, "QUIT\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && !strings.Contains(string(answer), "221 ") {
		err = fmt.Errorf("answered %q", answer)
	}
	return err
}

func askDNS(conn net.Conn) error {
	return askFor(conn, dnsmessage.Header{ID: 7, RecursionDesired: true}, "named.example.", dnsmessage.TypeA)
}

// askNotify sends a NOTIFY (RFC 1996), which a server that is not told to take them denies and logs.
func askNotify(conn net.Conn) error {
	return askFor(conn, dnsmessage.Header{ID: 7, OpCode: 4, Authoritative: true}, "example.", dnsmessage.TypeSOA)
}

func askFor(conn net.Conn, header dnsmessage.Header, name string, kind dnsmessage.Type) error {
	question := dnsmessage.Message{
		Header:    header,
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
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
