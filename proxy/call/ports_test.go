package call

import (
	"maps"
	"slices"
	"testing"
	"time"

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

// TestPortChoice: a range that has changed is in force after portChoiceAge.
func TestPortChoice(t *testing.T) {
	now, all := time.Now(), LocalPorts()
	var choice PortChoice
	for _, port := range []uint16{all.First, all.Last} {
		if !choice.Includes(port, now) {
			t.Errorf("the kernel may choose %d of %v", port, all)
		}
	}
	if choice.Includes(all.First-1, now) {
		t.Errorf("the kernel doesn't choose %d: it has %v", all.First-1, all)
	}
	choice.ports.First--
	if !choice.Includes(all.First-1, now.Add(portChoiceAge)) {
		t.Error("the range is read again too soon")
	}
	if choice.Includes(all.First-1, now.Add(2*portChoiceAge)) {
		t.Error("the range is not read again")
	}
}
