package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet/web"
)

// document is what the faulty servers have. Its first half is a table, too.
const document = "[route.a]\n" + "[route.b]\n"

// raw answers with these bytes, and ends the connection in good order.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte(answer))
		conn.Close()
	}
}

// TestFaults: of a server that fails, or whose answer is cut short, no part is taken for the document.
func TestFaults(t *testing.T) {
	t.Parallel()
	half := document[:len(document)/2]
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"its disk is full": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, document, http.StatusInsufficientStorage) }, "507 Insufficient Storage"},
		"it fails":         {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, document, http.StatusInternalServerError) }, "500 Internal Server Error"},
		"a part by length": {raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(document), half)), "unexpected EOF"},
		"a part in chunks": {raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(half), half)), "unexpected EOF"},
		"without an end":   {raw("HTTP/1.0 200 OK\r\n\r\n" + half), "it has to send Content-Length"},
		"304 to nothing":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, "304 for a request without If-None-Match"},
		"206, a part": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, half)
		}, "206 Partial Content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			s.Config.Handler = c.answer
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := web.Open(s.URL, s.allowed()).Watch(ctx, func(text []byte) {
				t.Errorf("taken: %q", text)
				cancel()
			})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), s.URL) {
				t.Errorf("%v, want %q and where", err, c.want)
			}
		})
	}
}

// TestWrongTag: an entity tag that changes without the document, and one that is of another, change nothing: a table is
// named by its text. A tag that stays while the document changes hides the change, which only its server can mend.
func TestWrongTag(t *testing.T) {
	t.Parallel()
	s, asked := startServer(t), 0
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("ETag", []string{`"1"`, `"2"`, `"2"`, `W/"`, ""}[asked-1])
		fmt.Fprint(w, []string{"one", "one", "two", "three", "four"}[asked-1])
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var seen []string
	err := web.Open(s.URL, s.allowed()).Watch(ctx, func(text []byte) {
		if seen = append(seen, string(text)); len(seen) == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || fmt.Sprint(seen) != "[one one two three four]" {
		t.Errorf("%v, seen %v", err, seen)
	}
}
