package config

// readRoute reads one [route.NAME] table by itself; what routes do to one another
// is checked later.
func readRoute(t *table, defaults Timeouts) *Route {
	r := routeSection.defaults
	r.Name, r.Line, r.Timeouts = t.route, t.report.lineOf(t.path), defaults
	routeSection.readInto(t, &r)
	t.done()
	checkRoute(t, &r)
	return &r
}
