package daemon

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

	"anyport/steering"
)

// Client asks the anyport that serves on an admin socket.
type Client struct{ Socket string }

// ErrNobody says that no anyport answers on the socket.
var ErrNobody = errors.New("no anyport answers")

// Status asks how it fares.
func (c Client) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return ask[Status](ctx, c, http.MethodGet, "/status", nil)
}

// Drift asks whether the tables in the kernel are those of the config in service: of a
// million prefixes, that takes some seconds.
func (c Client) Drift(ctx context.Context) (*Drift, error) {
	return ask[Drift](ctx, c, http.MethodGet, "/drift", nil)
}

// Reload has it load its file again; a dry run asks what that would change.
func (c Client) Reload(ctx context.Context, dryRun bool) (*Reloaded, error) {
	return ask[Reloaded](ctx, c, http.MethodPost, "/reload", url.Values{"dry_run": {flag(dryRun)}})
}

// Upgrade has another process take its place: of this binary, or of its own where that
// is "". It passes on the descriptors of a spare steering program, of which there may be
// none.
func (c Client) Upgrade(ctx context.Context, binary string, spare steering.Inheritance) (*Upgraded, error) {
	names := slices.Sorted(maps.Keys(spare))
	var fds []int
	for _, name := range names {
		fds = append(fds, spare[name])
	}
	return ask[Upgraded](ctx, c, http.MethodPost, "/upgrade", url.Values{"binary": {binary}, "fd": names}, fds...)
}

// Drain has a route, or all where it is "", take no new conns, or again. With wait it
// returns once the last conn has ended.
func (c Client) Drain(ctx context.Context, route string, undo, wait bool) (*Drained, error) {
	query := url.Values{"route": {route}, "undo": {flag(undo)}, "wait": {flag(wait)}}
	return ask[Drained](ctx, c, http.MethodPost, "/drain", query)
}

// Flows calls each with the live conns and flows of a route, or of all where it is "",
// as they come in.
func (c Client) Flows(ctx context.Context, route string, each func(Flow) error) error {
	body, err := c.open(ctx, http.MethodGet, "/flows", url.Values{"route": {route}})
	if err != nil {
		return err
	}
	defer body.Close()
	in := json.NewDecoder(body)
	for range 3 { // the object, its key, the list
		if _, err := in.Token(); err != nil {
			return c.unreadable(err)
		}
	}
	for in.More() {
		var f Flow
		if err := in.Decode(&f); err != nil {
			return c.unreadable(err)
		}
		if err := each(f); err != nil {
			return err
		}
	}
	if _, err := in.Token(); err != nil { // the end is there: nothing is missing
		return c.unreadable(err)
	}
	return nil
}

// CopyFlows writes the answer to the same question as it comes in: one JSON object.
func (c Client) CopyFlows(ctx context.Context, route string, out io.Writer) error {
	body, err := c.open(ctx, http.MethodGet, "/flows", url.Values{"route": {route}})
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(out, body)
	return err
}

// Top asks for the n busiest conns and flows, the first of them first.
func (c Client) Top(ctx context.Context, n int) (*FlowList, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return ask[FlowList](ctx, c, http.MethodGet, "/flows", url.Values{"top": {strconv.Itoa(n)}})
}

// Explain asks what becomes of the first packet to a dst. It reads the file, too: one of a
// million prefixes takes some seconds.
func (c Client) Explain(ctx context.Context, q Question) (*Explained, error) {
	query := url.Values{"protocol": {q.Protocol.String()}, "dst": {q.Dst.String()}}
	if q.Client.IsValid() {
		query.Set("client", q.Client.String())
	}
	return ask[Explained](ctx, c, http.MethodGet, "/explain", query)
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// ask sends one request and reads the answer. The error is the reason of a refusal as
// it was given.
func ask[T any](ctx context.Context, c Client, method, path string, query url.Values, fds ...int) (*T, error) {
	body, err := c.open(ctx, method, path, query, fds...)
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

func (c Client) unreadable(err error) error {
	return fmt.Errorf("%s: the answer cannot be read: %w", c.Socket, err)
}

// open sends one request, and copies of the file descriptors with it, and returns the
// answer, which the caller closes.
func (c Client) open(ctx context.Context, method, path string, query url.Values, fds ...int) (io.ReadCloser, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", c.Socket)
		if err != nil {
			return nil, err
		}
		return &givingConn{conn.(*net.UnixConn), fds}, nil
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, method, "http://anyport"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w on %s: %w: is it running, as which user, and with which admin.socket?", ErrNobody, c.Socket, bare(err))
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

// bare is err without the made-up URL that net/http names.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
