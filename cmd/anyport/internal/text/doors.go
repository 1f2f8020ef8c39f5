package text

import (
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// doorTable has a row for each client that has knocked.
func doorTable(doors []admin.Door) Grid {
	t := statusGrid("DOOR OPEN TO", "ROUTE", "UNTIL")
	for _, d := range doors {
		t.Add([]string{d.Client, d.Route, d.Until.Format(time.DateTime)})
	}
	return t
}
