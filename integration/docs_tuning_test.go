package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTuning sets the limits of docs/how-to/tuning.md in a network namespace, as far as they belong to one,
// and anyport with the file of the page has them. The other limits exist under these names.
func TestTuning(t *testing.T) {
	t.Parallel()
	h := newHost(t, "tuned")
	h.run(t, "ip addr add 10.0.0.1/32 dev lo\nip addr add 10.0.0.2/32 dev lo")
	s := h.newSession(t)
	set := 0
	for _, b := range documents(t)["../docs/how-to/tuning.md"] {
		switch b.info {
		case "toml":
			s.follow(t, b)
		case "conf drop-in":
			s.verifyDropIn(t, b.text)
		case "conf sysctl":
			for line := range strings.Lines(b.text) {
				if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
					set += s.setSysctl(t, key, value)
				}
			}
		}
	}
	if set < 5 {
		t.Fatalf("only %d limits could be set", set)
	}
	s.expect(t, "anyport run -c anyport.toml 2>anyport.log &", "")
	s.expect(t, "grep -o msg=serving anyport.log", "msg=serving")
	s.expect(t, "anyport status --json | grep -o '\"local_ports\":[ 0-9]*'", fmt.Sprintf(`"local_ports": %d`, 65536-10240-2))
	s.expect(t, "anyport doctor -c anyport.toml | grep 'tcp_backlog ='", "… 16384, enough for listen.tcp_backlog = 16384")
}

// verifyDropIn has systemd read the unit that is shipped with a drop-in.
func (s *session) verifyDropIn(t *testing.T, text string) {
	t.Helper()
	unit, err := os.ReadFile("../deploy/systemd/anyport.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.dir, "anyport.service.d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(s.dir, "anyport.service"): strings.ReplaceAll(string(unit), "/usr/local/bin", s.dir),
		filepath.Join(dir, "files.conf"):        text,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.expect(t, "systemd-analyze verify --man=no ./anyport.service", "")
}

// setSysctl sets a limit of the namespace and returns 1. It only looks for one that all namespaces share.
func (s *session) setSysctl(t *testing.T, key, value string) int {
	t.Helper()
	shared := strings.HasPrefix(key, "fs.") || strings.HasPrefix(key, "net.core.") && strings.HasSuffix(key, "mem_max")
	if shared {
		if _, err := os.Stat(filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))); err != nil {
			t.Error(err)
		}
		return 0
	}
	s.expect(t, fmt.Sprintf("sysctl -w '%s=%s' >sysctl.log && sysctl -n %s", key, value, key), value)
	return 1
}
