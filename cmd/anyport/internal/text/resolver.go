package text

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// resolverLine says which servers are asked for DNS names. If a file of the system cannot be read, its
// name is in capitals.
func resolverLine(r *admin.ResolverStatus) [2]string {
	line := [2]string{"resolver", strings.Join(r.Servers, ", ")}
	if len(r.Search) > 0 {
		line[1] += ", search " + strings.Join(r.Search, " ")
	}
	if r.Error != "" {
		line[0], line[1] = "RESOLVER", line[1]+": "+oneLine(r.Error)
	}
	return line
}

// nameRows has a row for each DNS name.
func nameRows(names []admin.NameStatus) (rows []string) {
	for _, n := range names {
		ttl := time.Duration(n.TTLSeconds * float64(time.Second)).Round(time.Second)
		rows = append(rows, fmt.Sprintf("%s\t%s\t%v\t%s\t%s", n.Name, some(n.Addresses), ttl, cmp.Or(n.Server, "-"), cmp.Or(oneLine(n.Error), "-")))
	}
	return rows
}

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }
