package admin

// errorVerdicts are the verdicts of conns and flows that found no origin with room for them, came without the header that
// their route requires, or were lost: all that an operator should look into. It is the only list of them.
var errorVerdicts = []string{
	"no_origin", "no_origin_for_client", "origin_max_conns", "queue_full", "queue_timeout", "connect_failed", "connect_timeout",
	"client_port_in_use", "out_of_ports", "out_of_files", "header_failed", "header_timeout", "bad_header", "origin_timeout", "origin_down", "relay_failed", "evicted",
}

// Errors sums up the conns and flows of a route that ended in an error.
func (c Counts) Errors() (n uint64) {
	for _, ended := range c.Ended {
		for _, verdict := range errorVerdicts {
			n += ended[verdict]
		}
	}
	return n
}
