package flow

// HoursOver returns the flows of routes whose time is over, on routes with on_inactive = "close". It does
// nothing if it has looked since the last of them was over.
func (t *Table[S]) HoursOver() (over []*Flow[S]) {
	overs := t.opt.Routes.Overs()
	if overs == t.overs {
		return nil
	}
	t.overs = overs
	for f := range t.All {
		if f.Route.EndsAll() {
			over = append(over, f)
		}
	}
	return over
}
