package text

import (
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Sample is the state of a running anyport at one moment.
type Sample struct {
	At     time.Time
	Status *admin.Status
}

// Rates are what a route or an origin does a second. They are differences of two counters, so they mean
// nothing across a restart: they then begin from zero.
type Rates struct {
	New      float64 `json:"new_per_second"` // conns and flows
	ToOrigin float64 `json:"bytes_to_origin_per_second"`
	ToClient float64 `json:"bytes_to_client_per_second"`
	Failing  float64 `json:"errors_per_second"`

	RefusedRate float64 `json:"refused_per_second"` // of a route, here and below
	DeniedRate  float64 `json:"denied_per_second"`
	LimitedRate float64 `json:"limited_per_second"`
}

// RatedRoute is a route with its rates.
type RatedRoute struct {
	admin.RouteStatus
	Rates
}

// RatedOrigin is an origin of a route with its rates.
type RatedOrigin struct {
	Route string `json:"route"`
	admin.OriginStatus
	Errors uint64 `json:"errors"` // failed dials, and ICMP errors that flows have met
	Rates
}

// since is a function that turns a counter and what it was before into a rate.
func since(before, now Sample) func(now, before uint64) float64 {
	span := max(now.At.Sub(before.At).Seconds(), 0.001)
	return func(now, before uint64) float64 { return grown(now, before) / span }
}

// RateRoutes are the routes of now, in the order of the file. A route that is new, or whose process is, began
// with nothing.
func RateRoutes(before, now Sample) (rated []RatedRoute) {
	old := map[string]admin.RouteStatus{}
	if before.Status.PID == now.Status.PID {
		for _, r := range before.Status.Routes {
			old[r.Name] = r
		}
	}
	per := since(before, now)
	for _, r := range now.Status.Routes {
		o := old[r.Name]
		rated = append(rated, RatedRoute{r, Rates{
			New: per(r.ConnsTotal, o.ConnsTotal), Failing: per(r.Errors, o.Errors),
			RefusedRate: per(r.Refused, o.Refused), DeniedRate: per(r.Denied, o.Denied), LimitedRate: per(r.Limited, o.Limited),
			ToOrigin: per(r.BytesToOrigin, o.BytesToOrigin), ToClient: per(r.BytesToClient, o.BytesToClient),
		}})
	}
	return rated
}

// RateOrigins are the origins of the routes of now, likewise.
func RateOrigins(before, now Sample) (rated []RatedOrigin) {
	old := map[[2]string]admin.OriginStatus{}
	if before.Status.PID == now.Status.PID {
		for _, r := range before.Status.Routes {
			for _, o := range r.Origins {
				old[[2]string{r.Name, o.Address}] = o
			}
		}
	}
	per := since(before, now)
	for _, r := range now.Status.Routes {
		for _, o := range r.Origins {
			b := old[[2]string{r.Name, o.Address}]
			errors := o.FailedDials + o.Refusals
			rated = append(rated, RatedOrigin{r.Name, o, errors, Rates{
				New: per(o.ConnsTotal, b.ConnsTotal), Failing: per(errors, b.FailedDials+b.Refusals),
				ToOrigin: per(o.BytesToOrigin, b.BytesToOrigin), ToClient: per(o.BytesToClient, b.BytesToClient),
			}})
		}
	}
	return rated
}

// plus adds the rates of two routes.
func (r Rates) plus(o Rates) Rates {
	return Rates{
		New: r.New + o.New, ToOrigin: r.ToOrigin + o.ToOrigin, ToClient: r.ToClient + o.ToClient, Failing: r.Failing + o.Failing,
		RefusedRate: r.RefusedRate + o.RefusedRate, DeniedRate: r.DeniedRate + o.DeniedRate, LimitedRate: r.LimitedRate + o.LimitedRate,
	}
}

// bytes is the rate in both directions together.
func (r Rates) bytes() float64 { return r.ToOrigin + r.ToClient }

// grown is what came, where a counter may have been taken back a little.
func grown(now, before uint64) float64 { return float64(now - min(before, now)) }
