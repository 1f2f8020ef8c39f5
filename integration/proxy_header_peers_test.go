package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The peers are programs of others that anyport's headers are for. Each answers
// HTTP with the client and the dst that it was told.

const haproxyFile = `
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 20s
frontend told
    bind fd@3 accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src] %[dst] %[dst_port]\n"
`

const nginxFile = `
daemon off;
master_process off;
pid PREFIX/nginx.pid;
error_log stderr notice;
events {}
http {
    access_log off;
    client_body_temp_path PREFIX/body;
    proxy_temp_path       PREFIX/proxy;
    fastcgi_temp_path     PREFIX/fastcgi;
    uwsgi_temp_path       PREFIX/uwsgi;
    scgi_temp_path        PREFIX/scgi;
    server {
        listen 10.0.0.5:8080 proxy_protocol;
        location / {
            return 200 "$proxy_protocol_addr $proxy_protocol_server_addr $proxy_protocol_server_port\n";
        }
    }
}
`

// TestPeers checks that HAProxy and nginx read the right addresses from anyport's
// headers, and that they answer health checks that begin with a header, and no others.
func TestPeers(t *testing.T) {
	t.Parallel()
	for _, peer := range []struct {
		name  string
		file  string
		start func(t *testing.T, h *host, file, dir string)
	}{
		{"haproxy", haproxyFile, startHAProxy},
		{"nginx", nginxFile, startNginx},
	} {
		for _, header := range []string{"v1", "v2"} {
			t.Run(peer.name+" "+header, func(t *testing.T) {
				r := newRig(t)
				dir := t.TempDir()
				file := filepath.Join(dir, "peer.conf")
				if err := os.WriteFile(file, []byte(strings.ReplaceAll(peer.file, "PREFIX", dir)), 0o644); err != nil {
					t.Fatal(err)
				}
				peer.start(t, r.origin, file, dir)
				p := r.edge.serveWith(t, fmt.Sprintf(`
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5:8080"]
proxy_protocol = %q
health = { type = "http", interval = "100ms" }

[route.without]
protocol = "tcp"
prefixes = ["198.18.0.0/16"]
origins  = ["10.0.0.5:8080"]
proxy_protocol = %[1]q
health = { type = "http", interval = "100ms", proxy_protocol = "off" }
`, header))
				eventually(t, "the checks with the header pass, and those without fail", func() bool {
					s := p.status(t)
					with, without := s.Routes[0].Origins[0], s.Routes[1].Origins[0]
					return with.CheckedAt != nil && with.Up && with.CheckFailed == "" && without.State == "check_failed"
				})
				for dst, want := range map[string]string{
					"192.0.2.7:81":         clientV4 + " 192.0.2.7 81\n",
					"[2001:db8:1::7]:4711": clientV6 + " 2001:db8:1::7 4711\n",
				} {
					if got := get(t, r.client, dst); got != want {
						t.Errorf("%s: %s says %q, want %q", dst, peer.name, got, want)
					}
				}
			})
		}
	}
}

// startHAProxy hands it the listener: clients queue there until it is up.
func startHAProxy(t *testing.T, h *host, file, _ string) {
	t.Helper()
	listener, err := h.listen(t, "10.0.0.5:8080").(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cmd := exec.Command(needTool(t, "haproxy"), "-db", "-f", file)
	cmd.ExtraFiles = []*os.File{listener}
	h.spawn(t, cmd)
}

// startNginx waits for the line that follows the opening of its listeners.
func startNginx(t *testing.T, h *host, file, dir string) {
	t.Helper()
	h.spawn(t, exec.Command(needTool(t, "nginx"), "-p", dir, "-c", file)).expect(t, "event method")
}

// get asks a web server and gives the body of its answer.
func get(t *testing.T, from *host, dst string) string {
	t.Helper()
	conn := from.dial(t, "tcp", dst)
	io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return body
}

// needTool finds a program that `make test` installs.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("REQUIRE_ROOT") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return ""
}
