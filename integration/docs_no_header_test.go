package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pgbouncerConf serves its console to everybody.
const pgbouncerConf = `[pgbouncer]
listen_addr = 10.0.0.6
listen_port = 6432
unix_socket_dir =
auth_type = any
`

// TestHowToTransparent runs servers that read no header, sshd and PgBouncer, behind the file of the page: their
// logs have the client's own address and port.
func TestHowToTransparent(t *testing.T) {
	t.Parallel()
	needTool(t, "pgbouncer")
	r := newTransparentRig(t)
	s := r.origin.newSession(t)
	if err := os.WriteFile(filepath.Join(s.dir, "pgbouncer.ini"), []byte(pgbouncerConf), 0o644); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "mkdir /run/sshd && ssh-keygen -q -t ed25519 -N '' -f key", "")
	s.expect(t, `/usr/sbin/sshd -D -e -f /dev/null -h "$PWD/key" -o ListenAddress=10.0.0.5:22 -o LogLevel=VERBOSE -o PidFile=none 2>sshd.log &`, "")
	s.expect(t, "chmod a+rx . .. && pgbouncer -u nobody pgbouncer.ini 2>pgbouncer.log &", "")
	for _, b := range documents(t)["../docs/how-to/proxy-protocol.md"] {
		if b.info == "toml" && strings.Contains(b.text, "transparent = true") {
			r.edge.serveWith(t, b.text)
		}
	}
	for _, c := range []struct {
		dst, hello, answer, log, names string
	}{
		{"192.0.2.7:22", "SSH-2.0-test\r\n", "SSH-2.0-OpenSSH", "sshd.log", "Connection from %s port %s"},
		{"192.0.2.7:5432", pgStartup("user", "app", "database", "pgbouncer"), "R", "pgbouncer.log", "@%s:%s login attempt"},
	} {
		var client net.Addr
		eventually(t, c.dst+" answers", func() bool { // the server may still start
			conn, err := r.client.tryDial("tcp", "", c.dst)
			if err != nil {
				return false
			}
			defer conn.Close()
			client = conn.LocalAddr()
			io.WriteString(conn, c.hello)
			answer, _ := bufio.NewReader(conn).Peek(len(c.answer))
			return string(answer) == c.answer
		})
		host, port, _ := net.SplitHostPort(client.String())
		want := fmt.Sprintf(c.names, host, port)
		s.expect(t, fmt.Sprintf("grep -o '%s' %s", want, c.log), want)
	}
}

// pgStartup is the first message of a client of PostgreSQL.
func pgStartup(parameters ...string) string {
	message := "\x00\x03\x00\x00" + strings.Join(parameters, "\x00") + "\x00\x00"
	return fmt.Sprintf("\x00\x00\x00%c%s", 4+len(message), message)
}
