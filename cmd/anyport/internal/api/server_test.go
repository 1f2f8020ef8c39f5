package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	short = 100 * time.Millisecond
	never = time.Hour
)

// TestTimeouts: who asks too slowly, takes no answer or has nothing more to ask is cut off,
// each by a limit of its own.
func TestTimeouts(t *testing.T) {
	for _, test := range []struct {
		name, sent string
		limits     timeouts
	}{
		{"a header without end", "GET / HTTP/1.1\r\nHost: x\r\n", timeouts{short, never, never}},
		{"no answer taken", "GET /long HTTP/1.1\r\nHost: x\r\n\r\n", timeouts{never, short, never}},
		{"nothing more to ask", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", timeouts{never, never, short}},
		{"a header too long", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*mostHeader), timeouts{never, never, never}},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			cut := make(chan error, 1)
			handler := func(w http.ResponseWriter, r *http.Request) {
				for r.URL.Path == "/long" {
					if _, err := w.Write(make([]byte, 1<<16)); err != nil {
						cut <- err
						return
					}
				}
			}
			defer serve(test.limits, listener, http.HandlerFunc(handler), nil, make(chan error, 1))()
			conn := dialFrom(t, "127.0.0.1", listener.Addr().String())
			defer conn.Close()
			fmt.Fprint(conn, test.sent)
			if strings.Contains(test.sent, "/long") {
				select {
				case <-cut:
				case <-time.After(time.Minute):
					t.Error("the answer is written for ever")
				}
				return
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the conn is kept")
			}
		})
	}
}

// TestOrdersAreWaitedFor: what is ordered on the admin socket may take longer than a request
// over HTTP, and the order is not taken for one whose client has gone.
func TestOrdersAreWaitedFor(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	a := &API{log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	mux := http.NewServeMux()
	order := verb{pattern: "POST /drain"}
	mux.HandleFunc(order.pattern, a.allowed(order, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			io.WriteString(w, "gone")
		case <-time.After(5 * short):
			io.WriteString(w, "well")
		}
	}))
	defer serve(timeouts{never, short, never}, fileListener{listener, NoGroup}, mux, nil, make(chan error, 1))()
	conn, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /drain HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(answer.Body); string(text) != "well" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
