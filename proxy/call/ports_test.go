package call

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePorts(t *testing.T) {
	for text, want := range map[string][]uint16{
		"\n":                 nil,
		"8080\n":             {8080},
		"53,8080-8082,65535": {53, 8080, 8081, 8082, 65535},
		"rubbish":            nil,
	} {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(parsePorts(text)))); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestLocalPorts(t *testing.T) {
	if ports := LocalPorts(); ports.First < 1 || ports.First > ports.Last {
		t.Errorf("from %d to %d", ports.First, ports.Last)
	}
}
