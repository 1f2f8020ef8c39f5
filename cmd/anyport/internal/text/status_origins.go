package text

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/health"
)

// originTable has a row for each origin of each route: one address may serve several routes, with a state
// for each. It is named as `anyport origin` takes it.
func originTable(s *admin.Status) Grid {
	t := statusGrid("ROUTE/ORIGIN", "STATE", "ACTIVE", "TOTAL")
	for _, r := range s.Routes {
		for _, o := range r.Origins {
			t.Add([]string{r.Name + "/" + originText(o), originState(o), fmt.Sprint(o.ConnsActive), compact(o.ConnsTotal)},
				checkText(o), errorText(o), sourcesText(o))
		}
	}
	return t
}

// checkText is why an origin is down; "" if it is not, or that is not known.
func checkText(o admin.OriginStatus) string {
	if o.Up || o.Forced != "" || o.State != health.CheckFailed.String() {
		return ""
	}
	return o.Why
}

// errorText is the last error of an origin, and since when it has had nothing but errors.
func errorText(o admin.OriginStatus) string {
	errno := ""
	if o.LastErrno != "" {
		errno = " (" + o.LastErrno + ")"
	}
	switch {
	case o.FailingSince != nil:
		return fmt.Sprintf("fails since %s: %s%s", o.FailingSince.Format(time.TimeOnly), o.LastError, errno)
	case o.LastErrorAt != nil:
		return fmt.Sprintf("last error %s: %s%s", o.LastErrorAt.Format(time.TimeOnly), o.LastError, errno)
	}
	return ""
}

// sourcesText is how many local ports of each source the conns to an origin use; "" if none are counted.
func sourcesText(o admin.OriginStatus) string {
	var all []string
	for _, source := range slices.Sorted(maps.Keys(o.SourcePorts)) {
		all = append(all, fmt.Sprintf("%d from %s", o.SourcePorts[source], source))
	}
	if len(all) == 0 {
		return ""
	}
	return "ports: " + strings.Join(all, ", ")
}

// originText is the address of an origin, and the DNS name that it is of.
func originText(o admin.OriginStatus) string {
	if o.Name == "" || strings.HasPrefix(o.Address, o.Name) {
		return o.Address
	}
	return o.Address + " (" + o.Name + ")"
}

// originState is the state forced by hand, or else what the proxy has found. What no check has found up
// is not called up.
func originState(o admin.OriginStatus) string {
	state, well := o.State, cmp.Or(o.Health, "up")
	switch {
	case o.Gone:
		state = "gone from its name"
	case o.Name != "" && strings.HasPrefix(o.Address, o.Name):
		state = "no address"
	case o.Up && o.RefusedPorts > 0:
		state = fmt.Sprintf("%s (%s refused)", well, Count(o.RefusedPorts, "port", "ports"))
	case o.Up:
		state = well
	case o.RefusedSince != nil:
		state = "refused since " + o.RefusedSince.Format(time.TimeOnly)
	case o.EjectedSince != nil:
		state = "ejected since " + o.EjectedSince.Format(time.TimeOnly)
	case o.Since != nil:
		state = "down since " + o.Since.Format(time.TimeOnly)
	}
	return cmp.Or(o.Forced, state, "down")
}
