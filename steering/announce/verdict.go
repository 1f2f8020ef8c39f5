package announce

// Verdict is what was decided about a prefix, or about a part of what it depends on.
type Verdict string

// The verdicts, the most welcoming first. With the first three a route stands in the table.
const (
	Announced Verdict = "announced"
	Draining  Verdict = "draining"     // announced with a higher metric, because an operator drains all its routes
	Kept      Verdict = "kept"         // not ready, but too few other hosts of the fleet announce
	Waiting   Verdict = "waiting"      // ready, but not for HoldTime yet
	Damped    Verdict = "damped"       // ready, but was withdrawn too often
	NoOrigin  Verdict = "no_origin"    // no origin of its routes is up, and on_all_down = "refuse"
	Inactive  Verdict = "out_of_hours" // no route of it is in force
	NotReady  Verdict = "not_ready"    // this host cannot serve
	Stopping  Verdict = "stopping"     // this process ends
)

// Verdicts are all of them, in that order.
var Verdicts = []Verdict{Announced, Draining, Kept, Waiting, Damped, NoOrigin, Inactive, NotReady, Stopping}

// rank orders verdicts: the route of a prefix that welcomes clients most decides.
var rank = func() map[Verdict]int {
	ranks := map[Verdict]int{}
	for i, v := range Verdicts {
		ranks[v] = i
	}
	return ranks
}()

// Stands reports whether a prefix of this verdict has a route in the table.
func (v Verdict) Stands() bool { return v == Announced || v == Draining || v == Kept }

// better returns the more welcoming one.
func better(a, b Verdict) Verdict {
	if rank[b] < rank[a] {
		return b
	}
	return a
}
