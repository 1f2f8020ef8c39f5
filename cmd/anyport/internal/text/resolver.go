package text

import (
	"cmp"
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

// nameTable has a row for each DNS name; none if no origin is a name.
func nameTable(r *admin.ResolverStatus) Grid {
	t := statusGrid("NAME", "TTL", "SERVER")
	if r == nil {
		return t
	}
	for _, n := range r.Names {
		ttl := time.Duration(n.TTLSeconds * float64(time.Second)).Round(time.Second)
		t.Add([]string{n.Name, ttl.String(), cmp.Or(n.Server, "-")}, some(n.Addresses), oneLine(n.Error))
	}
	return t
}

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }
