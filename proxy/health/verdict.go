package health

// Verdict is what an origin is at one moment, and why. Its word is in the log, in the metrics'
// label "cause", in `status`, and in the tests.
type Verdict uint8

// The verdicts. The zero value is the usual one.
const (
	Up          Verdict = iota
	CheckFailed         // down: its active checks have failed
	Ejected             // left out for a while: dials have failed in a row, or it refuses datagrams
	ForcedDrain         // by hand: no new conns, the old ones go on
	ForcedDown          // by hand: as if its checks had failed
	NoWeight            // weight 0: no new conns, the old ones go on

	// Verdicts is the number of verdicts.
	Verdicts
)

var words = [Verdicts]string{
	Up: "up", CheckFailed: "check_failed", Ejected: "ejected",
	ForcedDrain: "forced_drain", ForcedDown: "forced_down", NoWeight: "weight_0",
}

func (v Verdict) String() string { return words[v] }

// Down reports whether conns of such an origin end, if their route has on_down = "close". An
// ejected origin is not down: its live conns show that it can be reached.
func (v Verdict) Down() bool { return v == CheckFailed || v == ForcedDown }

// Excluded reports whether the operator has ordered that such an origin gets nothing new. It then
// gets nothing new in a panic either, or where no origin is up.
func (v Verdict) Excluded() bool { return v == ForcedDrain || v == ForcedDown || v == NoWeight }

// Forced is the state that an operator has forced on an origin.
type Forced uint8

// The forced states.
const (
	ByHealth Forced = iota // none: health decides
	Drain
	Down
)

var orders = [...]string{ByHealth: "ready", Drain: "drain", Down: "down"}

// String is the word of the command that forces the state: `anyport origin WORD ROUTE/ADDRESS`.
func (f Forced) String() string { return orders[f] }

// ParseForced is the inverse of [Forced.String].
func ParseForced(word string) (Forced, bool) {
	for f, order := range orders {
		if order == word {
			return Forced(f), true
		}
	}
	return ByHealth, false
}
