package table_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImports asks `go list` what packages depend on: the file, the table and the proxy work
// without BPF and root, proxy and steering do not know each other, and the facts of the host
// need no BPF either.
func TestImports(t *testing.T) {
	// classic BPF without a map or a program that is loaded; two numbers; types without code; the capabilities of a process
	harmless := []string{"anyport/bpf/socketfilter", "anyport/bpf/mark", "anyport/bpf/fastflow", "anyport/steering/capabilities"}
	bpf := []string{"anyport/bpf", "github.com/cilium/ebpf", "golang.org/x/net/bpf"}
	for pattern, forbidden := range map[string][]string{
		"anyport/config/...":                    append(bpf, "anyport/steering", "anyport/proxy"),
		"anyport/proxy/...":                     {"anyport/bpf", "github.com/cilium/ebpf", "anyport/steering"}, // x/net/bpf comes with miekg/dns
		"anyport/steering/table":                append(bpf, "anyport/proxy", "github.com/vishvananda/netlink"),
		"anyport/steering/internal/tabletest":   append(bpf, "anyport/proxy"),
		"anyport/steering/host":                 append(bpf, "anyport/proxy"),
		"anyport/steering/instances":            append(bpf, "anyport/proxy"),
		"anyport/steering/capabilities":         append(bpf, "anyport/proxy", "anyport/config"),
		"anyport/steering/...":                  {"anyport/proxy", "anyport/cmd"},
		"anyport/bpf":                           {"anyport/config", "anyport/steering", "anyport/proxy"},
		"anyport/cmd/anyport/internal/handover": append(bpf, "anyport/proxy", "anyport/steering"),
	} {
		list := exec.Command("go", "list", "-deps", pattern)
		list.Stderr = t.Output()
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pattern, err)
		}
		packages := strings.Fields(string(out))
		if !slices.Contains(packages, "net/netip") && !slices.Contains(packages, "os") {
			t.Errorf("go list -deps %s lists only %v", pattern, packages)
		}
		for _, p := range packages {
			for _, f := range forbidden {
				if (p == f || strings.HasPrefix(p, f+"/")) && !slices.Contains(harmless, p) {
					t.Errorf("%s depends on %s", pattern, p)
				}
			}
		}
	}
}
