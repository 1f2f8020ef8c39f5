package text

import (
	"fmt"
	"io"

	"anyport/cmd/anyport/internal/admin"
)

// Origin writes the state of one origin after an order.
func Origin(out io.Writer, route string, o *admin.OriginStatus) {
	fmt.Fprintf(out, "%s/%s: %s, weight %d, %s\n", route, o.Address, originState(*o), o.Weight, Count(int(o.ConnsActive), "live conn", "live conns"))
}
