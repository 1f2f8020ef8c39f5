package push

import (
	"fmt"
	"math"
	"slices"

	"anyport/cmd/anyport/internal/fleet"
)

// kind is a way in which a conn ends that a table is judged by.
type kind struct {
	name string
	of   func(fleet.Totals) uint64
}

// kinds are judged one by one: a rise of the rarest must not drown in the others.
var kinds = []kind{
	{"refused", func(t fleet.Totals) uint64 { return t.Refused }},
	{"failed", func(t fleet.Totals) uint64 { return t.Failed }},
	{"reset", func(t fleet.Totals) uint64 { return t.Reset }},
}

// The bounds of a judgement.
const (
	// most is how many times the others' part of bad conns is still accepted.
	most = 2

	// fewest bad conns accuse: fewer can be one client that tries again.
	fewest = 10

	// chance is the most likely accident that still accuses. A push looks some hundred times at several kinds
	// and hosts; together they accuse a good table in less than one of a thousand pushes.
	chance = 1e-7
)

// since is what a host counted between two of its reports. A host whose process began again
// without its counters counts from 0.
func since(before, now fleet.Totals) fleet.Totals {
	if now.Conns < before.Conns || now.Refused < before.Refused || now.Failed < before.Failed || now.Reset < before.Reset {
		return now
	}
	return fleet.Totals{
		Conns: now.Conns - before.Conns, Refused: now.Refused - before.Refused,
		Failed: now.Failed - before.Failed, Reset: now.Reset - before.Reset,
	}
}

// plus is the sum of two counts.
func plus(a, b fleet.Totals) fleet.Totals {
	return fleet.Totals{Conns: a.Conns + b.Conns, Refused: a.Refused + b.Refused, Failed: a.Failed + b.Failed, Reset: a.Reset + b.Reset}
}

// reference is what the last stage is compared with.
type reference struct {
	sum fleet.Totals
	own map[string]fleet.Totals // of each host; nil: all are compared with the sum
}

// newReference counts the hosts on the table before, from the begin of the push to that of the stage. A push of one
// stage has no such time: then each host is compared with all that it has counted before.
func newReference(first map[string]fleet.Report, reports []fleet.Report, tried []string, table fleet.Hash) (r reference) {
	for _, now := range reports {
		if before, known := first[now.Host]; known && !slices.Contains(tried, now.Host) && now.Table != table {
			r.sum = plus(r.sum, since(before.Totals, now.Totals))
		}
	}
	if r.sum.Conns > 0 {
		return r
	}
	r.own = map[string]fleet.Totals{}
	for host, before := range first {
		r.sum, r.own[host] = plus(r.sum, before.Totals), before.Totals
	}
	return r
}

// worse names the first kind of bad conns of which tried has more than twice the part of reference, beyond
// chance; "" if there is none. Without conns in reference nothing is known.
func worse(tried, reference fleet.Totals, tests int) (name, why string) {
	for _, k := range kinds {
		bad, other := k.of(tried), k.of(reference)
		if exceeds(bad, tried.Conns, other, reference.Conns, chance/float64(max(tests, 1))) {
			return k.name, fmt.Sprintf("%s of %d conns %s, %s of %d in comparison", part(bad, tried.Conns), tried.Conns, k.name, part(other, reference.Conns), reference.Conns)
		}
	}
	return "", ""
}

// exceeds reports whether bad of n is more than most times as much as other of m, and not by chance.
//
// Were the part of bad conns exactly most times that of the others, then each of the bad + other conns would be one of
// the n with the probability most*n / (most*n + m) (two Poisson counts, given their sum). So the
// tail of that binomial distribution is how likely an accident is. It is an upper bound where many conns are
// bad: the counts vary less then.
func exceeds(bad, n, other, m uint64, chance float64) bool {
	n, m = max(n, bad), max(m, other)
	if bad < fewest || m == 0 || float64(bad)*float64(m) <= most*float64(other)*float64(n) {
		return false
	}
	p := most * float64(n) / (most*float64(n) + float64(m))
	return tail(bad, bad+other, p) < chance
}

// tail is the probability that at least k of n trials succeed, each with the probability p. It needs
// k > n*p: then each term is smaller than the one before.
func tail(k, n uint64, p float64) float64 {
	choose := logFactorial(n) - logFactorial(k) - logFactorial(n-k)
	term := math.Exp(choose + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	sum := 0.0
	for ; term > sum*1e-12 && term > 0; k++ {
		sum += term
		term *= float64(n-k) / float64(k+1) * p / (1 - p)
	}
	return sum
}

func logFactorial(n uint64) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}

// part writes a of b as a percentage.
func part(a, b uint64) string {
	if b == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.3g %%", 100*float64(a)/float64(max(a, b)))
}
