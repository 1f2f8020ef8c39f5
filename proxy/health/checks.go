package health

// Rules are rise and fall of a check: how many results in a row change the state.
type Rules struct{ Rise, Fall int }

// Checks counts the results of active checks. It is HAProxy's counter (check.health in its
// src/check.c): from 0 to rise + fall - 1, up from rise on. A single good result of an origin that
// is up restores the maximum, a single bad one of an origin that is down restores 0.
type Checks struct{ points int }

// FirstChecks is the counter before the first result. As in HAProxy, an origin that was never
// checked is up, and its first failure alone takes it down. One that is known to be down must
// first pass rise checks.
func FirstChecks(down bool, r Rules) Checks {
	if down {
		return Checks{}
	}
	return Checks{r.Rise}
}

// Up reports whether the results so far say that the origin is up.
func (c Checks) Up(r Rules) bool { return c.points >= r.Rise }

// After is the counter after one more result.
func (c Checks) After(passed bool, r Rules) Checks {
	switch {
	case passed:
		if c.points++; c.points >= r.Rise {
			c.points = r.Rise + r.Fall - 1
		}
	case c.points > r.Rise:
		c.points--
	default:
		c.points = 0
	}
	return c
}
