package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Timeout is how long each end of the admin socket waits for the other: a client for the status, a
// server for the next request.
const Timeout = 5 * time.Second

// Client asks the anyport that serves on an admin socket. It holds no conn: each request makes one.
type Client struct{ Socket string }

// ErrNobody means that no anyport answers on the socket.
var ErrNobody = errors.New("no anyport answers")

// Status asks for the state of the process, its steering, routes and origins.
func (c Client) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return ask[Status](ctx, c, http.MethodGet, "/status", nil)
}

// Drift asks whether the tables in the kernel are those of the config in service. With a million
// prefixes the answer takes some seconds, so it has no timeout.
func (c Client) Drift(ctx context.Context) (*Drift, error) {
	return ask[Drift](ctx, c, http.MethodGet, "/drift", nil)
}

// Sysdump asks for what only the process knows. A status of many routes takes a while.
func (c Client) Sysdump(ctx context.Context) (*Sysdump, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*Timeout)
	defer cancel()
	return ask[Sysdump](ctx, c, http.MethodGet, "/sysdump", nil)
}

// Reload makes it load its file again; a dry run asks what that would change.
func (c Client) Reload(ctx context.Context, dryRun bool) (*Reloaded, error) {
	return ask[Reloaded](ctx, c, http.MethodPost, "/reload", url.Values{"dry_run": {flag(dryRun)}})
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
	names := slices.Sorted(maps.Keys(spare))
	var fds []int
	for _, name := range names {
		fds = append(fds, spare[name])
	}
	query["fd"] = names
	return ask[Upgraded](ctx, c, http.MethodPost, "/upgrade", query, fds...)
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

// Flows calls each for every live conn and flow of the query, as they arrive: there may be more than memory
// should hold. An answer that is cut short is an error, after the flows that did arrive. rest is the answer
// without its flows.
func (c Client) Flows(ctx context.Context, query FlowQuery, each func(Flow) error) (rest FlowList, err error) {
	body, err := c.send(ctx, http.MethodGet, "/flows", query.values())
	if err != nil {
		return rest, err
	}
	defer body.Close()
	in := json.NewDecoder(body)
	for range 3 { // the object, its key, the list
		if _, err := in.Token(); err != nil {
			return rest, c.unreadable(err)
		}
	}
	for in.More() {
		var f Flow
		if err := in.Decode(&f); err != nil {
			return rest, c.unreadable(err)
		}
		if err := each(f); err != nil {
			return rest, err
		}
	}
	if _, err := in.Token(); err != nil { // without the end of the list, flows are missing
		return rest, c.unreadable(err)
	}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return rest, c.unreadable(err)
		}
		var ignored any
		value := map[json.Token]any{"total": &rest.Total, "left": &rest.Left}[key]
		if value == nil { // of a later version
			value = &ignored
		}
		if err := in.Decode(value); err != nil {
			return rest, c.unreadable(err)
		}
	}
	return rest, nil
}

// CopyFlows writes the same answer to out as it arrives: one JSON object.
func (c Client) CopyFlows(ctx context.Context, query FlowQuery, out io.Writer) error {
	body, err := c.send(ctx, http.MethodGet, "/flows", query.values())
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(out, body)
	return err
}

// FlowList asks for all conns and flows of a query at once. Its limit bounds them.
func (c Client) FlowList(ctx context.Context, query FlowQuery) (*FlowList, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return ask[FlowList](ctx, c, http.MethodGet, "/flows", query.values())
}

// Kill ends the conns and flows that match. It returns when they have ended.
func (c Client) Kill(ctx context.Context, filter FlowFilter) (*Killed, error) {
	return ask[Killed](ctx, c, http.MethodPost, "/kill", filter.values())
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

// flag is a switch in a query.
func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// ask sends one request and reads the answer. The error of a refusal is the reason that the server
// gave, as it gave it.
func ask[T any](ctx context.Context, c Client, method, path string, query url.Values, fds ...int) (*T, error) {
	body, err := c.send(ctx, method, path, query, fds...)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	value := new(T)
	if err := json.NewDecoder(body).Decode(value); err != nil {
		return nil, c.unreadable(err)
	}
	return value, nil
}

// unreadable names the socket of an answer that is cut or not JSON.
func (c Client) unreadable(err error) error {
	return fmt.Errorf("%s: the answer cannot be read: %w", c.Socket, err)
}

// send sends one request, and copies of the file descriptors with it, and returns the body of the
// answer, which the caller closes.
func (c Client) send(ctx context.Context, method, path string, query url.Values, fds ...int) (io.ReadCloser, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", c.Socket)
		if err != nil {
			return nil, err
		}
		return &fileConn{conn.(*net.UnixConn), fds}, nil
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, method, "http://anyport"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w on %s: %w: is it running, as which user, and with which admin.socket?", ErrNobody, c.Socket, withoutURL(err))
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusConflict || response.StatusCode == http.StatusForbidden {
		reason, err := io.ReadAll(response.Body)
		return nil, errors.Join(errors.New(strings.TrimSpace(string(reason))), err)
	}
	return nil, fmt.Errorf("%s answered %q: is it an anyport of another version?", c.Socket, response.Status)
}

// withoutURL returns err without the made-up URL that net/http puts before it.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
