package api

import "anyport/cmd/anyport/internal/admin"

// The metrics of what the kernel has of us.
var (
	attached        = metric("steering_attached", "1 while the program of anyport is attached.")
	isPinned        = metric("steering_pinned", "1 while the steering is pinned, so that it outlives the process.")
	isExposed       = metric("steering_exposed_on_death", "1 while served addresses would lead to the host's own listeners if this process were killed.")
	foreignPrograms = metric("steering_foreign_programs", "Others' sk_lookup programs in this network namespace.")
	prefixes        = metric("steering_prefixes", "Distinct prefixes served.")
	missing         = metric("steering_missing", "What the steering needs and other programs have removed, such as local routes: see anyport status.")
	routesRestored  = metric("steering_routes_restored_total", "Local routes that other programs removed and anyport restored.")
	lookups         = metric("steering_lookups_total", "SYNs and datagrams that the kernel decided on. With SYN cookies it sees a conn twice.", "route", "verdict")
)

// steering exports what the kernel has of us.
func (e *exporter) steering(s admin.SteeringStatus) {
	e.flag(attached, s.Attached)
	e.flag(isPinned, s.Pinned)
	e.flag(isExposed, s.OnDeath == admin.Exposed)
	e.gauge(foreignPrograms, float64(len(s.ForeignPrograms)))
	e.gauge(prefixes, float64(s.Prefixes))
	e.gauge(missing, float64(len(s.Missing)))
	e.counter(routesRestored, s.RoutesRestored)
}

// lookups exports what the kernel decided for a route.
func (e *exporter) lookups(route string, verdicts map[string]uint64) {
	for verdict, n := range sorted(verdicts) {
		e.counter(lookups, n, route, verdict)
	}
}
