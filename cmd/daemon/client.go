package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
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

// Drain has a route, or all where it is "", take no new conns, or again. With wait it
// returns once the last conn has ended.
func (c Client) Drain(ctx context.Context, route string, undo, wait bool) (*Drained, error) {
	query := url.Values{"route": {route}, "undo": {flag(undo)}, "wait": {flag(wait)}}
	return ask[Drained](ctx, c, http.MethodPost, "/drain", query)
}

// Explain asks what becomes of the first packet to a dst.
func (c Client) Explain(ctx context.Context, q Question) (*Explained, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
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
func ask[T any](ctx context.Context, c Client, method, path string, query url.Values) (*T, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://anyport"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w on %s: %w: is it running, as which user, and with which admin.socket?", ErrNobody, c.Socket, bare(err))
	}
	defer response.Body.Close()
	return read[T](c, response)
}

func read[T any](c Client, response *http.Response) (*T, error) {
	switch response.StatusCode {
	case http.StatusOK:
		value := new(T)
		if err := json.NewDecoder(response.Body).Decode(value); err != nil {
			return nil, fmt.Errorf("%s: the answer cannot be read: %w", c.Socket, err)
		}
		return value, nil
	case http.StatusConflict:
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
