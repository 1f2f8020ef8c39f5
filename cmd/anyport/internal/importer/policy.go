package importer

import "fmt"

// PolicyRule is an `ip rule` that routes by mark, with the routes of its table: with TPROXY they
// deliver what the rules mark to this host. Once all is switched, nothing needs them.
type PolicyRule struct {
	Family string // "ip" or "ip6"
	Mark   string // "0x1", or "0x1/0x1" with a mask
	Table  int
	Routes []string // "local default dev lo"
}

// String is the rule as `ip rule` prints it.
func (p PolicyRule) String() string { return fmt.Sprintf("fwmark %s lookup %d", p.Mark, p.Table) }
