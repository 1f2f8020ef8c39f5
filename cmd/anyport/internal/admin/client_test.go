package admin

import (
	"encoding/json"
	"net"
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
	listener, err := net.Listen("unix", socket)
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
		http.Error(w, "line 3: one fault\nline 4: another", http.StatusConflict)
	})
	r, err := Client{Socket: socket}.Reload(t.Context(), true)
	if r != nil || err == nil || err.Error() != "line 3: one fault\nline 4: another" {
		t.Errorf("%v, %v", r, err)
	}
}
