package header_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A judge is a server of others that reads PROXY headers, and answers HTTP with whom a header names.
type judge struct {
	name, file  string
	command     func(file, dir string) []string
	differences []difference
}

const request = "GET / HTTP/1.0\r\n\r\n"

// HAProxy wrote the specification.
var haproxy = judge{"haproxy", `
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 20s
frontend named
    bind fd@3 accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"
`, func(file, _ string) []string { return []string{"haproxy", "-db", "-f", file} }, []difference{
	{"UNKNOWN: the receiver must ignore anything presented before the CRLF is found; HAProxy 2.6 knows the short form only", isUnknown, nobody, bad},
	{"a receiver is not required to implement other ones, provided that it automatically falls back to the UNSPEC mode; HAProxy 2.6 closes", isPROXY, nobody, bad},
	{"exactly 4 integers in the range [0..255], a decimal integer in the range [0..65535], exactly one space; HAProxy 2.6 is lenient", isTCP, bad, "*"},
}}

var nginx = judge{"nginx", `
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log stderr crit;
events {}
http {
    access_log off;
    client_body_temp_path DIR/body;
    proxy_temp_path DIR/proxy;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    server {
        listen ADDRESS proxy_protocol;
        location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"; }
    }
}
`, func(file, dir string) []string { return []string{"nginx", "-p", dir, "-c", file} }, []difference{
	{"any sequence which does not exactly match the protocol must cause the receiver to abort the connection; nginx 1.22 keeps addresses as text", isTCP, bad, "*"},
	{"no CRLF after UNKNOWN in the first 107 characters: the receiver should declare the line invalid; nginx 1.22 skips to any CRLF", isUnknown, bad, nobody},
	{"other commands, families and transports must be rejected; TLVs; nginx 1.22 skips what it does not know", isSigned, bad, "*"},
}}

func isUnknown(b []byte) bool { return bytes.HasPrefix(b, []byte("PROXY UNKNOWN")) }
func isTCP(b []byte) bool     { return bytes.HasPrefix(b, []byte("PROXY TCP")) }
func isPROXY(b []byte) bool   { return isV2(b, 1) }
func isSigned(b []byte) bool  { return bytes.HasPrefix(b, []byte(signature)) }

// TestJudges: HAProxy and nginx judge mutated headers as this package does, except where the
// specification says otherwise. ANYPORT_SOAK=1: 100,000 of them.
func TestJudges(t *testing.T) {
	for _, j := range []judge{haproxy, nginx} {
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			address := j.start(t)
			n := 4000
			if os.Getenv("ANYPORT_SOAK") == "1" {
				n = 100_000
			}
			random, asked, occurred := rand.New(rand.NewPCG(3, 4)), 0, map[*difference]int{}
			for asked < n {
				b := append(mutant(random), request...)
				mine, size := ours(b)
				if strings.HasSuffix(mine, ":0") || strings.Contains(mine, ":0 ") {
					continue // neither of them prints port 0
				}
				if mine == part || mine != bad && string(b[size:]) != request {
					continue // it is the payload that would be judged
				}
				asked++
				theirs := ask(t, address, b)
				switch d := j.known(b, mine, theirs); {
				case mine == theirs:
				case d != nil:
					occurred[d]++
				default:
					t.Errorf("%q: %s here, %s there", b[:len(b)-len(request)], mine, theirs)
				}
				if t.Failed() {
					if asked++; asked > n/4 {
						t.FailNow()
					}
				}
			}
			for i, d := range j.differences {
				if occurred[&j.differences[i]] == 0 {
					t.Errorf("no mutant shows this difference: %s", d.says)
				}
			}
		})
	}
}

// known finds the difference that explains two judgements.
func (j judge) known(b []byte, ours, theirs string) *difference {
	return find(j.differences, b, ours, theirs)
}

// start runs the judge until the test ends, and returns its address. It gets a listener as fd 3, whose queue holds conns until it is up.
func (j judge) start(t *testing.T) (address string) {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address = l.Addr().String()
	listener, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("DIR", dir, "ADDRESS", address).Replace(j.file)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := j.command(file, dir)
	path, err := exec.LookPath(args[0])
	switch {
	case err == nil:
	case os.Getenv("REQUIRE_ROOT") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Stderr, cmd.ExtraFiles = t.Output(), []*os.File{listener}
	if strings.Contains(j.file, "ADDRESS") { // it opens the address itself
		cmd.ExtraFiles = nil
		l.Close()
		listener.Close()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	// Whoever gets a port that was free a moment ago may be another process: only an answer shows that it is the judge.
	const named = "198.51.100.7:4711 192.0.2.1:443"
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		answer, err := tryAsk(address, []byte("PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n"+request))
		if err == nil && answer == named {
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("no judge at %s: %q, %v", address, answer, err)
		}
	}
}

// ask sends a header with a request, and reads the judgement from the answer.
func ask(t *testing.T, address string, b []byte) string {
	t.Helper()
	answer, err := tryAsk(address, b)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func tryAsk(address string, b []byte) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_, _ = conn.Write(b) // it may have closed already
	conn.(*net.TCPConn).CloseWrite()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	answer, _ := io.ReadAll(conn)
	if len(answer) == 0 {
		return bad, nil
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return namedBy(body), nil
}

// namedBy is the judgement of an answer: "198.51.100.7 4711 192.0.2.1 443", or something else where the
// server has no addresses.
func namedBy(body string) string {
	f := strings.Fields(body)
	if len(f) != 4 {
		return nobody
	}
	var addrs []string
	for i := 0; i < 4; i += 2 {
		port, err := strconv.Atoi(f[i+1])
		host := net.ParseIP(f[i])
		if err != nil || host == nil || host.IsLoopback() { // its own
			return nobody
		}
		addrs = append(addrs, addrText(&net.TCPAddr{IP: host, Port: port}))
	}
	return fmt.Sprint(addrs[0], " ", addrs[1])
}
