package integration

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSuitesHeaders: servers that others wrote read the right client from anyport's headers, and the
// right dst if they log it, for each version and family of the header.
func TestSuitesHeaders(t *testing.T) {
	if os.Getenv("ANYPORT_SUITES") != "1" {
		t.Skip("make suites")
	}
	for _, reader := range headerReaders {
		for _, header := range reader.headers {
			t.Run(reader.name+" "+header, func(t *testing.T) {
				t.Parallel()
				reader.reads(t, header)
			})
		}
	}
}

func (s headerReader) reads(t *testing.T, header string) {
	r := newRig(t)
	log := s.start(t, r.origin)
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
			conn, err := r.client.tryDial(protocol, "", dst)
			if err != nil {
				return false
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience / 4))
			want = s.logs(netip.MustParseAddrPort(conn.LocalAddr().String()), netip.MustParseAddrPort(dst))
			return s.ask(conn) == nil
		})
		eventually(t, s.name+" logs "+want, func() bool { return strings.Contains(log(), want) })
	}
}

// start starts the server with a directory of its own, and returns what reads its log.
func (s headerReader) start(t *testing.T, h *host) (log func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "reader") // short, for the sockets in it, and open to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	inDir := strings.NewReplacer("DIR", dir)
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(inDir.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, owner := range s.dirs {
		makeOwned(t, filepath.Join(dir, name), owner)
	}
	var args []string
	for _, a := range s.command[1:] {
		args = append(args, inDir.Replace(a))
	}
	server := h.spawn(t, exec.Command(needTool(t, s.command[0]), args...))
	return func() string {
		file, _ := os.ReadFile(filepath.Join(dir, "log"))
		return string(file) + server.String()
	}
}

// makeOwned makes a directory of a user.
func makeOwned(t *testing.T, dir, owner string) {
	t.Helper()
	who, err := user.Lookup(owner)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(who.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, id, -1); err != nil {
		t.Fatal(err)
	}
}
