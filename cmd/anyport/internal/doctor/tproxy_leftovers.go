package doctor

import (
	"fmt"
	"strings"
)

// checkTProxyLeftovers names what a proxy behind TPROXY rules leaves when its rules are deleted: the socket match with its
// chain, the policy rule of the mark, and the routing table. While there is a TPROXY rule, all of it may be in use.
func checkTProxyLeftovers(f *Facts) []Finding {
	if len(f.TProxy) > 0 {
		return ok("TPROXY rules are there, and what belongs to them")
	}
	findings := each(f.Diverts, func(r Rule) []Finding {
		return warn(r.Delete, "each packet costs a socket lookup more, and the mark sends it by another routing table",
			"a socket match without a TPROXY rule: %s", r.Text)
	})
	findings = append(findings, each(f.MarkRules, func(r MarkRule) []Finding {
		return warn(r.Delete(), "nothing sets this mark any more",
			"a policy rule of a mark leads to table %d, which only makes everything local", r.Table)
	})...)
	return orOK(findings, "no socket match, policy rule or routing table of a TPROXY set-up is left")
}

// MarkRule is a policy rule that sends packets with a mark to a table which makes everything local.
type MarkRule struct {
	Family string // "-4" or "-6", as ip has it
	Mark   string // "0x1", or with a mask "0x1/0xff"
	Table  int
	Routes []string // of the table: "local 0.0.0.0/0 dev lo"
}

// Delete is the commands that remove the rule, and the table's routes.
func (r MarkRule) Delete() string {
	lines := []string{fmt.Sprintf("ip %s rule del fwmark %s lookup %d", r.Family, r.Mark, r.Table)}
	for _, route := range r.Routes {
		lines = append(lines, fmt.Sprintf("ip %s route del %s table %d", r.Family, route, r.Table))
	}
	return strings.Join(lines, "\n")
}
