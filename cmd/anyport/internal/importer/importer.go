package importer

import (
	"fmt"
	"net/netip"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
)

// Options are what the rules do not say.
type Options struct {
	Origin     string          // "HOST[:PORT]" behind the old daemon; "": see Services, else a placeholder
	Services   *draft.Services // what the configuration of the old daemon says; nil: it was not read
	Prefixes   []netip.Prefix  // only dsts in these are imported; empty: all that rules ask for
	Interface  string          // packets arrive on this one; "": on all that the rules name
	Unmatched  config.Action   // Refuse or Pass: ports of served prefixes that no rule takes
	Local      []netip.Prefix  // addresses of this host
	LocalKnown bool            // Local is all of them
	Main       []MainRoute     // the main table, as far as it matters to dsts that rules ask for; only known of a live host
	Policy     []PolicyRule    // how this host routes by mark; only known of a live one
}

// Import compiles a ruleset. An error is a fault of the rules as a whole; what cannot be imported of them
// is in the report.
func Import(s *ruleset.Ruleset, options Options) (*Result, error) {
	c := newCompiler(s, options)
	if loop := c.walker.Loop(s); loop != nil {
		return nil, fmt.Errorf("the jumps of chain %s lead back to it: the kernel has no such rules", chainName(loop))
	}
	if err := c.compile(); err != nil {
		return nil, err
	}
	file, routes := c.draft(nil)
	return &Result{Draft: file, Report: c.report(s, routes), Notes: c.notes(s), arriving: c.arriving}, nil
}

// Result is what became of a ruleset.
type Result struct {
	Draft  *draft.File
	Report []Line   // each rule that has to do with an interception, in the order of the input
	Notes  []string // what is imported and differs, in words

	arriving []string // the interfaces that were imported
}

// Line is one rule of the report.
type Line struct {
	Chain  *ruleset.Chain
	Rule   *ruleset.Rule
	Routes []string // that it became; empty: none
	Left   []string // why it, or a part of it, is left
	// Outside: it also takes dsts outside of Options.Prefixes, for which it has to stay.
	Outside bool
	Kept    string // why the rule has to stay, or need not: neither a route nor a loss; "": see Routes and Left
}

// Imported reports whether the whole rule became routes.
func (l Line) Imported() bool { return l.within() && !l.Outside }

// within reports whether all of it that was asked for became routes.
func (l Line) within() bool { return len(l.Routes) > 0 && len(l.Left) == 0 }
