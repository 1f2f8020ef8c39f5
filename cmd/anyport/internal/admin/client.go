package admin

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Timeout is how long each end of the admin socket waits for the other: a client for the status, a
// server for the next request.
const Timeout = 5 * time.Second

// Client asks the anyport that serves on an admin socket. It holds no conn: each request makes one.
type Client struct{ Socket string }

// Status asks for the state of the process, its steering, routes and origins. With 60,000 routes it has 76 MB.
func (c Client) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 6*Timeout)
	defer cancel()
	return ask[Status](ctx, c, http.MethodGet, "/status", nil)
}

// Drift asks whether the tables in the kernel are those of the config in service. With a million
// prefixes the answer takes some seconds, so it has no timeout.
func (c Client) Drift(ctx context.Context) (*Drift, error) {
	return ask[Drift](ctx, c, http.MethodGet, "/drift", nil)
}

// Sysdump asks for what only the process knows, its status among it.
func (c Client) Sysdump(ctx context.Context) (*Sysdump, error) {
	ctx, cancel := context.WithTimeout(ctx, 6*Timeout)
	defer cancel()
	return ask[Sysdump](ctx, c, http.MethodGet, "/sysdump", nil)
}

// Reload makes it load its file again; a dry run asks what that would change. It sends along copies of the file
// descriptors of what asks the peers of a fleet, by name; there may be none.
func (c Client) Reload(ctx context.Context, dryRun bool, preloaded map[string]int) (*Reloaded, error) {
	return askWith[Reloaded](ctx, c, "/reload", url.Values{"dry_run": {flag(dryRun)}}, preloaded)
}

// Share makes it load its file again for some percent of the clients.
func (c Client) Share(ctx context.Context, percent float64) (*Reloaded, error) {
	return ask[Reloaded](ctx, c, http.MethodPost, "/reload", url.Values{"share": {strconv.FormatFloat(percent, 'g', -1, 64)}})
}

// EndShare makes it serve all clients by the file that serves a share of them; or without all by the one before.
func (c Client) EndShare(ctx context.Context, all bool) (*Reloaded, error) {
	end := TrialBack
	if all {
		end = TrialAll
	}
	return ask[Reloaded](ctx, c, http.MethodPost, "/reload", url.Values{"end": {string(end)}})
}

// Upgrade makes it start another process that takes its place: of this binary, or of its own if
// binary is "". It sends along copies of the file descriptors of a spare steering program, by name;
// there may be none.
func (c Client) Upgrade(ctx context.Context, binary string, spare map[string]int) (*Upgraded, error) {
	return c.upgrade(ctx, url.Values{"binary": {binary}}, spare)
}

// UpgradeShare makes it start another process that serves the TCP conns of some percent of the clients.
// That holds spare in case that the one that answers dies.
func (c Client) UpgradeShare(ctx context.Context, binary string, percent float64, spare map[string]int) (*Upgraded, error) {
	return c.upgrade(ctx, url.Values{"binary": {binary}, "share": {strconv.FormatFloat(percent, 'g', -1, 64)}}, spare)
}

// EndUpgradeShare makes the process of UpgradeShare serve nobody any more; with all a new process of its binary then
// takes the place of the one that answers, as after Upgrade.
func (c Client) EndUpgradeShare(ctx context.Context, all bool, spare map[string]int) (*Upgraded, error) {
	end := TrialBack
	if all {
		end = TrialAll
	}
	return c.upgrade(ctx, url.Values{"end": {string(end)}}, spare)
}

func (c Client) upgrade(ctx context.Context, query url.Values, spare map[string]int) (*Upgraded, error) {
	return askWith[Upgraded](ctx, c, "/upgrade", query, spare)
}

// askWith orders something, and sends along copies of file descriptors, by name.
func askWith[T any](ctx context.Context, c Client, path string, query url.Values, files map[string]int) (*T, error) {
	names := slices.Sorted(maps.Keys(files))
	var fds []int
	for _, name := range names {
		fds = append(fds, files[name])
	}
	query["fd"] = names
	return ask[T](ctx, c, http.MethodPost, path, query, fds...)
}

// Drain makes a route, or all of them, take no new conns, or take them again. With order.Wait it returns when the last
// conn has ended.
func (c Client) Drain(ctx context.Context, order DrainOrder) (*Drained, error) {
	query := url.Values{"route": {order.Route}, "undo": {flag(order.Undo)}, "wait": {flag(order.Wait)}, "force": {flag(order.Force)}}
	return ask[Drained](ctx, c, http.MethodPost, "/drain", query)
}

// Confirm makes it keep what it would give back otherwise.
func (c Client) Confirm(ctx context.Context) (*Confirmed, error) {
	return ask[Confirmed](ctx, c, http.MethodPost, "/confirm", nil)
}

// Origin forces a state on an origin, or sets its weight, and returns its status then.
func (c Client) Origin(ctx context.Context, order OriginOrder) (*OriginStatus, error) {
	query := url.Values{"route": {order.Route}, "address": {order.Address}, "state": {order.State}}
	if order.State == "" {
		query.Set("weight", strconv.Itoa(order.Weight))
	}
	return ask[OriginStatus](ctx, c, http.MethodPost, "/origin", query)
}

// Explain asks what happens to the first packet to a dst. The server reads its file for that; one
// with a million prefixes takes some seconds, so it has no timeout.
func (c Client) Explain(ctx context.Context, q Question) (*Explained, error) {
	query := url.Values{"protocol": {q.Protocol.String()}, "dst": {q.Dst.String()}}
	if q.Client.IsValid() {
		query.Set("client", q.Client.String())
	}
	if !q.At.IsZero() {
		query.Set("at", q.At.Format(time.RFC3339Nano))
	}
	return ask[Explained](ctx, c, http.MethodGet, "/explain", query)
}
