package integration

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestSuites runs the standard library's own tests in such a way that every TCP connection
// that they make to 127.0.0.1 goes through anyport and back. The tests do not notice.
//
// In `make test`, net/http runs with -test.short; ANYPORT_SUITES=1 runs all of it.
func TestSuites(t *testing.T) {
	for _, suite := range []struct {
		name  string
		conns uint64 // the least that has to go through anyport
	}{
		{"net/textproto", 0}, // opens none
		{"net/smtp", 1},
		{"net/rpc", 1},
		{"net/http/httptest", 20},
		{"net/http/httputil", 20},
		{"net/http", 500},
	} {
		t.Run(suite.name, func(t *testing.T) { runSuite(t, suite.name, suite.conns) })
	}
}

const suiteFile = `
[route.suite]
prefixes = ["192.0.2.1"]
protocol = "tcp"
origins  = ["127.0.0.1"]
`

func runSuite(t *testing.T, name string, conns uint64) {
	h := newHost(t, "loopback")
	p := h.serveWith(t, suiteFile)
	group := reroute(t, netip.MustParseAddr("192.0.2.1"))
	binary, dir := compileSuite(t, name)

	out, err := runTests(h, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}, dir, binary)
	through := p.status(t).route(t, "suite").ConnsTotal
	passed, failed := verdicts(out, "PASS"), verdicts(out, "FAIL")
	t.Logf("%s: %d of %d passed, %d connections through anyport", name, len(passed), len(passed)+len(failed), through)

	if through < conns {
		t.Errorf("%d connections went through anyport, want %d or more", through, conns)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
		t.Log(compare(h, dir, binary, failed))
	}
}

// compileSuite builds the tests of a package of the standard library. They run in
// the directory of their source, where their test data is.
func compileSuite(t *testing.T, name string) (binary, dir string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "suite")
	cmd := exec.Command("go", "test", "-c", "-o", binary, name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go test -c %s: %v\n%s", name, err, out)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return binary, filepath.Join(strings.TrimSpace(string(root)), "src", name)
}

func runTests(h *host, attr *syscall.SysProcAttr, dir, binary string, args ...string) (out string, err error) {
	args = append(args, "-test.v", "-test.timeout=8m", "-test.skip=^TestOmitHTTP2") // those compile, and connect to nothing
	if os.Getenv("ANYPORT_SUITES") != "1" {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.SysProcAttr = dir, attr
	h.do(func() {
		var b []byte
		b, err = cmd.CombinedOutput()
		out = string(b)
	})
	return out, err
}

// verdicts returns the names of the tests and subtests that ended with this result.
func verdicts(out, verdict string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\s*--- `+verdict+`: (\S+)`).FindAllStringSubmatch(out, -1) {
		names = append(names, m[1])
	}
	return names
}

// compare runs the tests that failed again without anyport.
func compare(h *host, dir, binary string, failed []string) string {
	tops := map[string]bool{}
	for _, name := range failed {
		top, _, _ := strings.Cut(name, "/")
		tops[top] = true
	}
	var names []string
	for name := range tops {
		names = append(names, name)
	}
	slices.Sort(names)
	out, err := runTests(h, nil, dir, binary, "-test.run=^("+strings.Join(names, "|")+")$")
	if err != nil {
		return "without anyport they fail too:\n" + out
	}
	return "without anyport they pass: " + strings.Join(names, " ")
}
