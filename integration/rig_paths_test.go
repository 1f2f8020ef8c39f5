package integration

import (
	"encoding/json"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

// fastPathVariable says how the anyports of all tests forward UDP flows where their files do not say it:
// "off" is in user space only. With "auto", the default of the product, tests that say that no flow of theirs
// is admitted are checked, too.
const fastPathVariable = "ANYPORT_FAST_PATH"

// onBothPaths runs a test twice: the kernel forwards the UDP flows that are admitted, and user space
// forwards all of them. With the variable it runs once.
func onBothPaths(t *testing.T, test func(*testing.T, *rig)) {
	t.Parallel()
	for _, path := range []string{"auto", "off"} {
		if only := os.Getenv(fastPathVariable); only != "" && only != path {
			continue
		}
		t.Run("fast_path "+path, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.edge.fastPath = path
			test(t, r)
			for _, p := range r.edge.proxies {
				if n, ok := p.inKernel(); ok && (n > 0) != (path == "auto") {
					t.Errorf("the kernel has forwarded %d datagrams", n)
				}
			}
		})
	}
}

// inKernel is how many datagrams the kernel has forwarded by itself. It is not ok after an upgrade or a stop.
func (p *proxy) inKernel() (n uint64, ok bool) {
	var s status
	out, err := askStatus(p.socket)
	if err != nil || json.Unmarshal(out, &s) != nil || s.PID != p.cmd.Process.Pid {
		return 0, false
	}
	return fastTotal(s), true
}

// warm has an echo answer a flow so often that the kernel may forward it.
func warm(t *testing.T, conn net.Conn) {
	t.Helper()
	for range 16 {
		asker(t)(conn)
	}
}

// pathOf is the value of fast_path for an anyport of the host; "": the file's, or the default.
func (h *host) pathOf() string {
	if h.fastPath != "" {
		return h.fastPath
	}
	return os.Getenv(fastPathVariable)
}

// withFastPath turns the fast path off in the routes of a file that may have it, unless they say how they
// want it.
func withFastPath(toml, path string) string {
	if path != "off" {
		return toml
	}
	return udpRoutes.ReplaceAllStringFunc(toml, func(route string) string {
		if !strings.Contains(route, `"udp"`) || strings.Contains(route, "fast_path") || unforwarded.MatchString(route) {
			return route
		}
		return strings.TrimRight(route, "\n") + "\nfast_path = \"off\"\n" // the last line: the others keep their numbers
	})
}

// udpRoutes finds the table of a route, without those that belong to it; unforwarded, routes whose flows the
// kernel never forwards.
var (
	udpRoutes   = regexp.MustCompile(`(?m)^\[route\.[a-z0-9_-]+\]\n(?:[^\[\n].*\n?|\n)*`)
	unforwarded = regexp.MustCompile(`(?m)^action *= *"(refuse|drop|pass|socket)"`)
)

// needFastPath skips a test that is about the fast path where it is off.
func needFastPath(t *testing.T) {
	t.Helper()
	if os.Getenv(fastPathVariable) == "off" {
		t.Skip(fastPathVariable, "is off")
	}
}
