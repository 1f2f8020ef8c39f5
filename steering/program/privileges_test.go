package program

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/steering/capabilities"
)

func TestMissingCapabilities(t *testing.T) {
	const bpf, netAdmin, sysAdmin = 1 << 39, 1 << 12, 1 << 21
	for effective, want := range map[capabilities.Set][]string{
		bpf | netAdmin:      nil,
		sysAdmin | netAdmin: nil,
		netAdmin:            {"CAP_BPF"},
		bpf:                 {"CAP_NET_ADMIN"},
		0:                   {"CAP_BPF", "CAP_NET_ADMIN"},
	} {
		if diff := cmp.Diff(want, MissingCapabilities(effective)); diff != "" {
			t.Errorf("%#x: %s", effective, diff)
		}
	}
}
