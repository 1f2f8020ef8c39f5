package admin_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports: the wire types are a contract of their own, so a client of the admin API links
// neither the proxy nor the steering.
func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	own := 0
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		for _, refused := range []string{"anyport/proxy", "anyport/steering", "anyport/bpf", "github.com/cilium/ebpf"} {
			if path == refused || strings.HasPrefix(path, refused+"/") {
				t.Errorf("package admin imports %s", path)
			}
		}
		if strings.HasPrefix(path, "anyport/") {
			own++
		}
	}
	if own == 0 {
		t.Errorf("go list -deps names no package of this module: %s", out)
	}
}
