package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// ErrNobody means that no anyport answers on the socket.
var ErrNobody = errors.New("no anyport answers")

// errUnknownVerb means that the anyport on the socket does not know what it was asked.
var errUnknownVerb = errors.New("is it an anyport of another version?")

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
		return nil, fmt.Errorf("%w on %s: %w: %s", ErrNobody, c.Socket, withoutSocket(withoutURL(err)), advice(err))
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusConflict || response.StatusCode == http.StatusForbidden {
		return nil, readRefusal(response)
	}
	return nil, fmt.Errorf("%s answered %q: %w", c.Socket, response.Status, errUnknownVerb)
}

// readRefusal is the error of an answer that has only a reason.
func readRefusal(response *http.Response) error {
	text, err := io.ReadAll(response.Body)
	reason := errors.New(strings.TrimSpace(string(text)))
	if about := refusals[response.Header.Get(RefusedHeader)]; about != nil {
		reason = Refuse(about, reason)
	}
	if response.StatusCode == http.StatusForbidden {
		reason = Refuse(errNoAccess, reason)
	}
	return errors.Join(reason, err)
}

// withoutURL returns err without the made-up URL that net/http puts before it.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// withoutSocket returns err without the path of the socket, which is named already.
func withoutSocket(err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) {
		return dial.Err
	}
	return err
}

// advice is what to do about a socket where nobody answers.
func advice(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "run the command as root, as the user of that anyport, or as a member of its admin.group"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return "start it with: anyport run; if it runs, name its file with -c, or its socket with --socket"
	}
	return "it may be about to end, or hang: see its log, and ask again"
}
