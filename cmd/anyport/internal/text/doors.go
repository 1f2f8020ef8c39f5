package text

import (
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// doorRows has a row for each client that has knocked.
func doorRows(doors []admin.Door) (rows []string) {
	for _, d := range doors {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s", d.Client, d.Route, d.Until.Format(time.DateTime)))
	}
	return rows
}
