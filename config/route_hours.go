package config

import (
	"fmt"
	"slices"
)

// checkHours refuses a schedule that does nothing, and keys of a schedule that is missing.
func checkHours(t *table, r *Route) {
	for i, e := range r.Active {
		if before := slices.IndexFunc(r.Active, e.Equal); before < i {
			t.fault(fmt.Sprintf("active[%d]", i), "%q is already at active[%d]: remove one", e, before)
		}
	}
	switch {
	case len(r.Active) > 0 && (r.Action == Refuse || r.Action == Drop):
		t.fault("active", `is not used with action = %q, which lets nothing in: remove it, or write action = "forward"`, r.Action)
	case len(r.Active) == 0 && r.Inactive != Refuse:
		t.fault("inactive", "is not used without active: write the hours in active, or remove it")
	case len(r.Active) == 0 && r.OnInactive != KeepConns:
		t.fault("on_inactive", "is not used without active: write the hours in active, or remove it")
	case r.OnInactive != KeepConns && r.Action != Forward:
		t.fault("on_inactive", "is not used with action = %q, whose conns are not anyport's: remove it", r.Action)
	}
}
