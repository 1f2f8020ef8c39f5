package web_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet/access"
	"anyport/cmd/anyport/internal/fleet/web"
)

// server is one whose document changes.
type server struct {
	*httptest.Server
	text      atomic.Pointer[string]
	unchanged atomic.Int32 // 304s
}

// startServer starts one that wants a token.
func startServer(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/plain" {
			http.Redirect(w, r, "http://127.0.0.1/x", http.StatusFound)
			return
		}
		text := *s.text.Load()
		w.Header().Set("ETag", fmt.Sprintf("%q", text))
		if r.Header.Get("If-None-Match") == fmt.Sprintf("%q", text) {
			s.unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(s.Close)
	s.set("first")
	return s
}

func (s *server) set(text string) { s.text.Store(&text) }

// allowed is what the server's clients need.
func (s *server) allowed() access.Access {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return access.Access{TLS: &tls.Config{RootCAs: pool}, Token: "secret"}
}

// TestWatch: the document, that it has not changed, and its successor.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	source := web.Open(s.URL+"/table", s.allowed())
	defer source.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var seen []string
	err := source.Watch(ctx, func(text []byte) {
		seen = append(seen, string(text))
		switch len(seen) {
		case 2:
			s.set("second")
		case 3:
			cancel()
		}
	})
	if ctx.Err() == nil || fmt.Sprint(seen) != "[first first second]" || s.unchanged.Load() != 1 {
		t.Errorf("%v, seen %v, %d of them not sent", err, seen, s.unchanged.Load())
	}
}

// TestRefusals: what gives no table is an error that says why.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	wrong := s.allowed()
	wrong.Token = "wrong"
	for name, c := range map[string]struct {
		path string
		a    access.Access
	}{
		"a wrong token":        {"/table", wrong},
		"a CA that is unknown": {"/table", access.Access{Token: "secret"}},
		"a redirect to http":   {"/plain", s.allowed()},
	} {
		err := web.Open(s.URL+c.path, c.a).Watch(t.Context(), func(text []byte) { t.Errorf("%s: %q", name, text) })
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
