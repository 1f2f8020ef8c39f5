package bpfmaps

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/steering/internal/tabletest"
)

func TestNumberRoutes(t *testing.T) {
	table := tabletest.Compile(t, tabletest.Route("a", "1", "192.0.2.1"), tabletest.Route("b", "2", "192.0.2.1"), tabletest.Route("c", "3", "192.0.2.1"))
	got := NumberRoutes(map[string]uint32{"b": 1, "gone": 3}, table)
	if diff := cmp.Diff(map[string]uint32{"a": 2, "b": 1, "c": 4}, got); diff != "" {
		t.Error(diff)
	}
}
