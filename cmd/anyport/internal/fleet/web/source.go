package web

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"anyport/cmd/anyport/internal/fleet/access"
)

const (
	pollInterval = 5 * time.Second
	longestPause = 10 * time.Minute // that a server may ask for by Retry-After
	timeout      = 30 * time.Second // of one request, the body included
	maxTable     = 256 << 20        // bytes, as for a file
)

// Source is a document.
type Source struct {
	url    string
	access access.Access
	client *http.Client
}

// Open makes a source. It asks nothing yet.
func Open(url string, a access.Access) *Source {
	transport := &http.Transport{TLSClientConfig: a.TLS, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute, Proxy: http.ProxyFromEnvironment}
	return &Source{url, a, &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: sameScheme}}
}

// sameScheme follows a redirect to https only: a table must not come from a server that has not proved who it is.
func sameScheme(r *http.Request, before []*http.Request) error {
	if r.URL.Scheme != "https" || len(before) > 5 {
		return fmt.Errorf("it leads to %s, which is not followed", r.URL.Redacted())
	}
	return nil
}

// Close ends the idle connections.
func (s *Source) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// answer is what one request has brought.
type answer struct {
	text []byte // nil: the document has not changed
	etag string
	wait time.Duration // that the server asks for; 0: none
}

// Watch calls see with the document at once and after each poll, until ctx is done or a request fails. A
// server that asks to wait (Retry-After) is left alone for that time.
func (s *Source) Watch(ctx context.Context, see func(text []byte)) error {
	var last answer
	for {
		next, err := s.get(ctx, last.etag)
		if err != nil {
			return err
		}
		if next.text == nil {
			next.text = last.text
		}
		last = next
		see(last.text)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause(last.wait)):
		}
	}
}

// pause keeps many hosts from asking at the same moment.
func pause(asked time.Duration) time.Duration {
	return max(min(asked, longestPause), pollInterval*3/4+rand.N(pollInterval/2))
}

// get asks once. A document without an entity tag is sent each time.
func (s *Source) get(ctx context.Context, etag string) (a answer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return a, err
	}
	request.Header.Set("Accept", "application/toml, text/plain;q=0.9, */*;q=0.1")
	switch {
	case s.access.Token != "":
		request.Header.Set("Authorization", "Bearer "+s.access.Token)
	case s.access.User != "":
		request.SetBasicAuth(s.access.User, s.access.Password)
	}
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a = answer{etag: response.Header.Get("ETag"), wait: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	switch response.StatusCode {
	case http.StatusNotModified:
		if etag == "" {
			return a, fmt.Errorf("GET %s: 304 for a request without If-None-Match", s.url)
		}
		a.etag = etag
		return a, nil
	case http.StatusOK:
		if endsWithConn(response) {
			return a, fmt.Errorf("GET %s: the server does not say where the document ends, so a part of it would pass for all: it has to send Content-Length, or chunks", s.url)
		}
		a.text, err = s.body(response.Body)
		return a, err
	}
	return a, &StatusError{s.url, response.Status, a.wait}
}

// body reads a whole document; an empty one is not nil.
func (s *Source) body(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTable+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("GET %s: the document was cut short after %d bytes: %w", s.url, len(text), err)
	case len(text) > maxTable:
		return nil, fmt.Errorf("GET %s: more than %d bytes", s.url, maxTable)
	}
	return text, nil
}

// endsWithConn reports whether only the end of the connection ends the body. A proxy that loses its server ends it too.
// What was compressed shows its end by itself.
func endsWithConn(r *http.Response) bool {
	return r.ContentLength < 0 && r.ProtoMajor < 2 && len(r.TransferEncoding) == 0 && !r.Uncompressed
}

// StatusError is an answer that has no table.
type StatusError struct {
	url, status string
	Wait        time.Duration // that the server asks for; 0: none
}

// Error names the answer.
func (e *StatusError) Error() string { return fmt.Sprintf("GET %s: %s", e.url, e.status) }

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(time.Duration(max(seconds, 0))*time.Second, longestPause)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
