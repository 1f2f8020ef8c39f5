package text

import (
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// doorTable has a row for each client that has knocked.
func doorTable(doors []admin.Door) table {
	t := table{head: []string{"DOOR OPEN TO", "ROUTE", "UNTIL"}}
	for _, d := range doors {
		t.add([]string{d.Client, d.Route, d.Until.Format(time.DateTime)})
	}
	return t
}
