package importer

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
	"anyport/steering/table"
)

// Verification is what a comparison of the rules with the routes found.
type Verification struct {
	Packets     int
	Intercepted int // by the rules, of packets that are imported
	Left        int // that the rules intercept, of which the report says that they are left
	Differences []Difference
	more        int // differences that were only counted
}

// Difference is a packet that the rules and the routes treat differently.
type Difference struct {
	Packet ruleset.Packet
	Rule   string // what the rules do with it
	Route  string // what the routes do with it
}

// mostDifferences are kept, one of a kind.
const mostDifferences = 20

// Verify sends random packets through the rules, and asks the table of the routes for each. The table
// is that of the text that Draft writes, so that the comparison is with the file that users get.
func (r *Result) Verify(s *ruleset.Ruleset, options Options, packets int, seed uint64) (*Verification, error) {
	compiled, err := r.table()
	if err != nil {
		return nil, err
	}
	v := verifier{
		Result: r, options: options, table: compiled, walker: ruleset.NewWalker(s), compiler: newCompiler(s, options), // of which only what it says about the rules is used
		random: rand.New(rand.NewPCG(seed, 13)), lines: map[*ruleset.Rule]Line{}, met: map[string]bool{},
	}
	for _, l := range r.Report {
		v.lines[l.Rule] = l
	}
	v.collect()
	for range packets {
		v.compare(v.packet())
	}
	return &v.found, nil
}

// table compiles the draft. The placeholder for an origin is replaced, since origins are not compared.
func (r *Result) table() (*table.Table, error) {
	var text strings.Builder
	if err := r.Draft.Write(&text); err != nil {
		return nil, err
	}
	withOrigin := strings.ReplaceAll(text.String(), draft.Text(draft.OriginPlaceholder), draft.Text("origin.invalid"))
	c, err := config.Parse("import", []byte(withOrigin))
	if err != nil {
		return nil, fmt.Errorf("the routes are not a valid file: %w", err)
	}
	return table.Compile(c)
}

// verifier is the state of one comparison. It does not look at the classes: its packets are random, and only their
// values lie near the bounds of the rules.
type verifier struct {
	*Result
	options  Options
	table    *table.Table
	walker   *ruleset.Walker
	compiler *compiler
	random   *rand.Rand
	lines    map[*ruleset.Rule]Line
	met      map[string]bool // kinds of differences
	found    Verification

	dsts, sources      []netip.Addr // boundaries of the rules, and their neighbours
	ports, sourcePorts []uint16
}

// compare notes a difference. What the report says to be left must not be forwarded by any route.
func (v *verifier) compare(p ruleset.Packet) {
	v.found.Packets++
	o := v.walker.Walk(p)
	d, served := v.table.Judge(config.Protocol(p.Protocol), p.Destination, p.Source.Addr())
	taker := o.Instead
	if o.Verdict == ruleset.Intercepted {
		taker = o.Rule
	}
	if taker != nil && v.compiler.chains[taker].Owner != "" {
		return // the packet never gets to a route
	}
	if v.isLeft(p, o, taker) {
		v.found.Left++
		if d.Verdict == table.Steer {
			v.differ(p, o, d)
		}
		return
	}
	if o.Verdict == ruleset.Intercepted {
		v.found.Intercepted++
	}
	if !v.agree(o, d, served, taker) {
		v.differ(p, o, d)
	}
}

// isLeft reports whether the rules that decide about a packet are left, the whole or a part of them
// where no route forwards it.
func (v *verifier) isLeft(p ruleset.Packet, o ruleset.Outcome, taker *ruleset.Rule) bool {
	if len(v.options.Prefixes) > 0 && !v.compiler.asked(p.Destination.Addr()) {
		return true
	}
	if taker == nil {
		return false
	}
	for _, r := range []*ruleset.Rule{o.Rule, taker} {
		if r != nil && len(v.lines[r].Left) > 0 && v.table.Lookup(config.Protocol(p.Protocol), p.Destination) == nil {
			return true
		}
	}
	return false
}

// agree compares one verdict with the other. taker is the rule that intercepts, or would if no other rule spared the
// packet; nil if none does. A dst that no route serves is never a difference unless a rule intercepts it: its packets go
// where they went before.
func (v *verifier) agree(o ruleset.Outcome, d table.Decision, served bool, taker *ruleset.Rule) bool {
	denied := d.Verdict == table.Deny && d.Route.Denied == config.Refuse
	untouched := !served || d.Verdict == table.VerdictOf(v.options.Unmatched) || denied && v.options.Unmatched == config.Refuse
	switch {
	case o.Verdict == ruleset.Intercepted:
		return d.Verdict == table.Steer && slices.Contains(v.lines[o.Rule].Routes, d.Route.Name)
	case taker == nil:
		return untouched || o.Verdict != ruleset.Untouched && d.Verdict != table.Steer
	case o.Verdict == ruleset.Untouched:
		return !served || d.Verdict == table.Pass
	case o.Verdict == ruleset.Dropped:
		return !served || d.Verdict == table.Drop || d.Verdict == table.Deny && !denied
	}
	return !served || d.Verdict == table.Refuse || denied
}

// differ keeps one difference of a kind: a fault in a large prefix would otherwise fill the report with one line a packet.
func (v *verifier) differ(p ruleset.Packet, o ruleset.Outcome, d table.Decision) {
	rules, routes := o.Verdict.String(), string(d.Verdict)
	if o.Rule != nil {
		rules += " by " + v.compiler.place(o.Rule)
	}
	if d.Route != nil {
		routes += " by route " + d.Route.Name
	}
	kind := rules + "/" + routes
	if v.met[kind] || len(v.found.Differences) >= mostDifferences {
		v.found.more++
		return
	}
	v.met[kind] = true
	v.found.Differences = append(v.found.Differences, Difference{p, rules, routes})
}

// Write writes a line for each kind of difference, and a summary.
func (v *Verification) Write(w io.Writer) error {
	var b strings.Builder
	for _, d := range v.Differences {
		fmt.Fprintf(&b, "difference: %s from %s to %s on %s: rules: %s; routes: %s\n",
			config.Protocol(d.Packet.Protocol), d.Packet.Source, d.Packet.Destination, d.Packet.Interface, d.Rule, d.Route)
	}
	fmt.Fprintf(&b, "verified %d packets: %d differ; the rules intercept %d, and %d that are left\n", v.Packets, len(v.Differences)+v.more, v.Intercepted, v.Left)
	_, err := io.WriteString(w, b.String())
	return err
}
