package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"anyport/config"
)

// bySource makes of results by class of src a route with clients. Whom it denies, anyport refuses or
// drops: it cannot let them through to a listener of this host.
func (c *compiler) bySource(results []result, sources []class[netip.Addr]) (cell, string) {
	var distinct []result
	for _, r := range results {
		if r.fate != kept && !slices.Contains(distinct, r) {
			distinct = append(distinct, r)
		}
	}
	if len(distinct) == 0 {
		return cell{}, ""
	}
	if len(distinct) == 1 {
		return cell{result: distinct[0]}, ""
	}
	// A route has one list of origins and one answer for the clients that it denies. All else is left.
	var taken *result
	denied := map[config.Action]bool{}
	for _, r := range distinct {
		switch {
		case r.fate == forward && taken != nil:
			return cell{}, fmt.Sprintf("the client's address decides between %s and %s: a route has one list of origins", c.place(taken.rule), c.place(r.rule))
		case r.fate == forward:
			taken = &r
		case r.fate == drop:
			denied[config.Drop] = true
		case r.fate == refuse, r.fate == untouched && c.options.Unmatched == config.Refuse:
			denied[config.Refuse] = true
		case r.fate == untouched: // with unmatched = "pass" the others would reach a listener of this host
			return cell{}, "other clients reach this host's own listeners, and a route refuses or drops those that it denies: --unmatched refuse imports it so"
		default:
			return cell{}, fmt.Sprintf("%s lets some clients through to this host's own listeners, and a route refuses or drops those that it denies", c.place(r.rule))
		}
	}
	if taken == nil || len(denied) != 1 {
		return cell{}, "some clients are dropped and others refused: a route does one of both"
	}
	made := cell{result: *taken, denied: config.Refuse}
	if denied[config.Drop] {
		made.denied = config.Drop
	}
	made.clients = c.admitting(results, *taken, sources)
	for _, r := range distinct {
		if r.rule != nil && r.rule != taken.rule && !slices.Contains(c.deniers[made.clients], r.rule) {
			c.deniers[made.clients] = append(c.deniers[made.clients], r.rule)
		}
	}
	return made, ""
}

// admitting keeps which clients are admitted, and returns the key of that. The key also names the rules that deny, so
// that two lists which are equal by chance do not make one route with the comments of both.
func (c *compiler) admitting(results []result, taken result, sources []class[netip.Addr]) string {
	var key strings.Builder
	for _, r := range results {
		if r.rule != nil && r != taken {
			fmt.Fprintf(&key, "rule %d ", c.order[r.rule])
		}
	}
	label := func(i int) (int, bool) { // 1: admitted; each client needs one or the other
		if results[i] == taken || results[i].fate == kept {
			return 1, true
		}
		return 0, true
	}
	is4 := sources[0][0].first.Is4()
	entries := cover(is4, sources, label)
	for _, e := range entries {
		fmt.Fprintf(&key, "%v=%d ", e.prefix, e.label)
	}
	c.clients[key.String()] = entries
	return key.String()
}

// clientLists writes who is admitted as allow and deny. Without allow everyone is, so an exception
// inside deny needs the whole family in allow.
func clientLists(entries []labelled) (allow, deny []string) {
	inner := false // an admitted network inside a denied one
	for _, e := range entries {
		if e.prefix.Bits() > 0 && e.label == 1 {
			inner = true
		}
	}
	for _, e := range entries {
		switch {
		case e.label == 1 && (e.prefix.Bits() > 0 || inner):
			allow = append(allow, prefixText(e.prefix))
		case e.label == 0 && e.prefix.Bits() > 0:
			deny = append(deny, prefixText(e.prefix))
		}
	}
	return allow, deny
}
