package main

import (
	"path/filepath"
	"strings"
	"testing"
)

const haproxyFile = `
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
frontend old
    bind 0.0.0.0:9000 transparent
    default_backend app
backend app
    balance source
    server a 10.0.0.5 send-proxy-v2 check port 22 inter 5s
    server b 10.0.0.6 send-proxy-v2 check port 22 inter 5s backup
    server c 10.0.0.7:+1000
`

const nginxFile = `
events {}
stream {
    upstream app { least_conn; server 10.0.0.8:80 weight=2; server 10.0.0.9:80; }
    server { listen 9001; proxy_pass app; proxy_timeout 90s; proxy_responses 1; }
}
`

const tproxyRules = `*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 192.0.2.0/24 -p tcp -m tcp --dport 1:1023 -j TPROXY --on-port 9000 --on-ip 127.0.0.1 --tproxy-mark 0x1/0xffffffff
-A PREROUTING -d 198.18.0.0/24 -p tcp -m tcp --dport 80 -j TPROXY --on-port 9001 --on-ip 0.0.0.0 --tproxy-mark 0x1/0xffffffff
COMMIT
`

// TestImportProxies runs the commands that read configurations of other proxies.
func TestImportProxies(t *testing.T) {
	dir := t.TempDir()
	conf := write(t, dir, "haproxy.cfg", haproxyFile)
	stream := write(t, dir, "nginx.conf", nginxFile)
	peers := write(t, dir, "peers.txt", "10.1.0.0/16\n")
	broken := write(t, dir, "broken.conf", "stream {\n")
	lost := write(t, dir, "lost.conf", "events {}\nstream { include gone.conf; }\n")
	unset := write(t, dir, "unset.cfg", "listen a\n server x \"${ANYPORT_TEST_UNSET}:80\"\n")
	for _, c := range []struct {
		args           []string
		status         int
		stdout, stderr string // parts
	}{
		{[]string{"haproxy", conf, "--prefix", "192.0.2.0/24"}, exitDone, "prefixes        = [\"192.0.2.0/24\"]\nports           = [9000]", conf + ":9   default_backend app"},
		{[]string{"haproxy", conf}, exitFailed, "", "name them with --prefix"},
		{[]string{"haproxy", conf}, exitFailed, "", "nothing could be imported: the table says why"},
		{[]string{"haproxy", conf, "--prefix", "192.0.2.0/99"}, exitUsage, "", "must be an address or a prefix"},
		{[]string{"haproxy"}, exitUsage, "", "takes one argument"},
		{[]string{"haproxy", filepath.Join(dir, "gone")}, exitFailed, "", "no such file"},
		{[]string{"haproxy", unset}, exitFailed, "", "no value for the variable ANYPORT_TEST_UNSET"},
		{[]string{"haproxy", stream}, exitFailed, "", "is this a configuration of HAProxy?"},
		{[]string{"nginx", stream, "--prefix", "192.0.2.7"}, exitDone, "balance      = \"least_conn\"", "proxy_responses 1"},
		{[]string{"nginx", broken}, exitFailed, "", broken + ":2: a block has no end"},
		{[]string{"nginx", lost}, exitFailed, "", "run anyport import where nginx runs"},
		{[]string{"nginx", conf}, exitFailed, "", "has no semicolon"},
		{[]string{"go-mmproxy", "--", "-l", "192.0.2.7:25", "-4", "127.0.0.1:2525", "-allowed-subnets", peers}, exitDone, `accept_proxy = ["10.1.0.0/16"]`, "→ accept_proxy"},
		{[]string{"go-mmproxy", "--", "-l"}, exitFailed, "", "has no value"},
	} {
		status, stdout, stderr := run(append([]string{"import"}, c.args...)...)
		if status != c.status || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("import %v: %d, %s, %s\nwant %d, %q, %q", c.args, status, stdout, stderr, c.status, c.stdout, c.stderr)
		}
		if c.stdout == "" && stdout != "" {
			t.Errorf("import %v prints %s", c.args, stdout)
		}
	}
}

// TestImportBehindRules: the servers behind a TPROXY rule are those of the section that listens on
// its port.
func TestImportBehindRules(t *testing.T) {
	dir := t.TempDir()
	rules := write(t, dir, "rules", tproxyRules)
	status, stdout, stderr := run("import", "iptables", rules, "--haproxy", write(t, dir, "haproxy.cfg", haproxyFile), "--nginx", write(t, dir, "nginx.conf", nginxFile))
	if status != exitDone {
		t.Fatalf("%d, %s", status, stderr)
	}
	for _, want := range []string{
		`prefixes        = ["192.0.2.0/24"]
ports           = ["1-1023"]
origins         = ["10.0.0.5", { address = "10.0.0.6", backup = true }]
balance         = "source_hash"
proxy_protocol  = "v2"
connect_timeout = "2s"
idle_timeout    = "1h"`,
		`type           = "tcp"
interval       = "5s"
port           = 22
proxy_protocol = "off"`,
		`origins      = [{ address = "10.0.0.8:80", weight = 2 }, "10.0.0.9:80"]
balance      = "least_conn"
idle_timeout = "1m30s"`,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%s\nlacks\n%s", stdout, want)
		}
	}
	if want := "server c 10.0.0.7:+1000"; !strings.Contains(stderr, want) {
		t.Errorf("%s\nlacks %s", stderr, want)
	}
}
