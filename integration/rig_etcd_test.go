package integration

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// etcdServer is an etcd on a host, which every host of its fleet reaches by one address.
type etcdServer struct {
	*process
	host    *host
	address string // of its clients
	dir     string // its data
	args    []string
	scheme  string   // of its clients
	ctlArgs []string // of etcdctl
	access  string   // further keys of [fleet] of its hosts
	serial  int64
}

// startEtcd starts one that listens on all addresses of the host.
func (h *host) startEtcd(t *testing.T, address string, args ...string) *etcdServer {
	t.Helper()
	needTool(t, "etcd")
	needTool(t, "etcdctl")
	s := &etcdServer{host: h, address: address + ":2379", dir: filepath.Join(t.TempDir(), "etcd"), args: args, scheme: "http"}
	s.start(t)
	return s
}

// start starts the process with the data that are there, and waits until it answers.
func (s *etcdServer) start(t *testing.T) {
	t.Helper()
	s.process = s.host.spawn(t, exec.Command("etcd", append([]string{
		"--data-dir", s.dir, "--log-level", "error",
		"--listen-client-urls", s.scheme + "://0.0.0.0:2379", "--advertise-client-urls", s.scheme + "://" + s.address,
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
		"--initial-cluster", "default=http://127.0.0.1:2380",
	}, s.args...)...))
	eventually(t, "etcd answers", func() bool {
		_, err := s.tryCtl("get", "nothing")
		return err == nil
	})
}

// kill ends it as a crash does.
func (s *etcdServer) kill(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGKILL)
	s.wait(t)
}

// tryCtl runs etcdctl on the host of the server.
func (s *etcdServer) tryCtl(args ...string) (out []byte, err error) {
	options := append([]string{"--endpoints", s.scheme + "://127.0.0.1:2379", "--command-timeout", patience.String()}, s.ctlArgs...)
	c := exec.Command("etcdctl", append(options, args...)...)
	c.Env = append(c.Environ(), "ETCDCTL_API=3")
	s.host.do(func() { out, err = c.CombinedOutput() })
	return out, err
}

// ctl is tryCtl that has to succeed.
func (s *etcdServer) ctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.tryCtl(args...)
	if err != nil {
		t.Fatalf("etcdctl %.100q: %v\n%s", args, err, out)
	}
	return string(out)
}

// source is the URL in the files of its hosts.
func (s *etcdServer) source() string { return "etcd://" + s.address + "/edges" }

// hostFile is the file of a host of its fleet.
func (s *etcdServer) hostFile(name string) string {
	return fmt.Sprintf("[fleet]\nsource = %q\nhost = %q\n", s.source(), name) + s.access
}

// push stores a table in parts of at most that size, and makes it the current one of all hosts, as the command
// push does at the end. It returns the table's hash.
func (s *etcdServer) push(t *testing.T, table string) string {
	t.Helper()
	const part = 100 << 10 // an argument of a command has less than 128 KiB
	var parts []string
	for rest := table; rest != ""; {
		n := min(part, len(rest))
		hash := hashOf(rest[:n])
		s.ctl(t, "put", "/edges/parts/"+hash, rest[:n])
		parts, rest = append(parts, hash), rest[n:]
	}
	hash := hashOf(table)
	s.serial++
	s.ctl(t, "put", "/edges/tables/"+hash, asJSON(t, map[string]any{"parts": parts, "size": len(table), "by": "me@test"}))
	s.ctl(t, "put", "/edges/current", asJSON(t, map[string]any{"table": hash, "serial": s.serial}))
	return hash
}

// fill uses up its quota.
func (s *etcdServer) fill(t *testing.T) {
	t.Helper()
	value := strings.Repeat("x", 100<<10)
	for n := 0; ; n++ {
		if out, err := s.tryCtl("put", fmt.Sprint("fill/", n), value); err != nil {
			if !strings.Contains(string(out), "space") {
				t.Fatalf("%v\n%s", err, out)
			}
			return
		}
	}
}

// empty gives it room again, as an operator does.
func (s *etcdServer) empty(t *testing.T) {
	t.Helper()
	s.ctl(t, "del", "--prefix", "fill/")
	s.compact(t)
	s.ctl(t, "defrag")
	s.ctl(t, "alarm", "disarm")
}

// compact forgets all revisions but the newest.
func (s *etcdServer) compact(t *testing.T) {
	t.Helper()
	s.ctl(t, "compact", between(s.ctl(t, "get", "nothing", "-w", "fields"), `"Revision" : `, "\n"))
}

// hostReport is what the tests read of a host's report.
type hostReport struct {
	Host       string
	Instance   string
	Announcing bool
	Draining   bool
	Table      string
	Serial     int64
	Ready      bool
	Conns      int64
	Generation int
	LastError  string `json:"last_error"`
	ErrorTable string `json:"error_table"`
	Totals     struct{ Conns, Refused, Failed, Reset uint64 }
}

// report is that of one host; zero if there is none.
func (s *etcdServer) report(t *testing.T, name string) (r hostReport) {
	t.Helper()
	out := s.ctl(t, "get", "--print-value-only", "/edges/hosts/"+name)
	if strings.TrimSpace(out) != "" {
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %q", err, out)
		}
	}
	return r
}

// hashOf names a text as a fleet does.
func hashOf(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// asJSON is a value of a key.
func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
