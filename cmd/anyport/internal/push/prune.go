package push

import (
	"context"

	"anyport/cmd/anyport/internal/fleet"
)

// tablesKept is how many of the newest tables stay in the store, beside those that the pointer names.
const tablesKept = 10

// prune deletes old tables. What fails now is deleted by the next push.
func prune(ctx context.Context, store fleet.Store, pointer fleet.Pointer) {
	if tables, err := store.Tables(ctx); err == nil {
		if old := unneeded(tables, pointer); len(old) > 0 {
			_ = store.DeleteTables(ctx, old...)
		}
	}
}

// unneeded lists the tables that nobody needs, of those that are stored, the newest first.
func unneeded(tables []fleet.Manifest, pointer fleet.Pointer) (old []fleet.Hash) {
	for i, m := range tables {
		if i >= tablesKept && m.Table != pointer.Table && m.Table != pointer.Previous && (pointer.Trial == nil || m.Table != pointer.Trial.Table) {
			old = append(old, m.Table)
		}
	}
	return old
}
