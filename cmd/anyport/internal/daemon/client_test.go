package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answering serves one answer on a socket like that of a running anyport.
func answering(t *testing.T, handler http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "admin.sock")
	listener, err := listenAdmin(socket, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() { // ended by Close
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return socket
}

func TestReadStatus(t *testing.T) {
	want := &Status{Version: "v1", PID: 7, Config: ConfigStatus{Path: "a.toml", Generation: 3}}
	socket := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			t.Errorf("asked for %s", r.URL)
		}
		_ = json.NewEncoder(w).Encode(want)
	})
	got, err := Client{Socket: socket}.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadStatusFails(t *testing.T) {
	nobody := filepath.Join(t.TempDir(), "admin.sock")
	other := answering(t, http.NotFound)
	garbage := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{")) })
	for socket, want := range map[string]string{
		nobody:  "no anyport answers on " + nobody + ": dial unix",
		other:   other + ` answered "404 Not Found"`,
		garbage: garbage + ": the answer cannot be read",
	} {
		if _, err := (Client{Socket: socket}).Status(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestReloadRefused shows that the reason comes as it was given.
func TestReloadRefused(t *testing.T) {
	socket := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/reload" || r.FormValue("dry_run") != "1" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		new(daemon).answer(w, nil, errors.New("line 3: one fault\nline 4: another"))
	})
	r, err := Client{Socket: socket}.Reload(t.Context(), true)
	if r != nil || err == nil || err.Error() != "line 3: one fault\nline 4: another" {
		t.Errorf("%v, %v", r, err)
	}
}

// TestDecide shows that a decision is taken by who runs it, and that nobody waits for
// one who is gone.
func TestDecide(t *testing.T) {
	d := &daemon{decisions: make(chan func())}
	go func() { (<-d.decisions)() }() // ended by the decision below
	why := errors.New("why")
	if err := d.decide(t.Context(), func() error { return why }); err != why {
		t.Errorf("error %v, want that of the decision", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.decide(gone, func() error { panic("nobody decides") }); err != context.Canceled {
		t.Errorf("error %v when nobody decides", err)
	}
}
