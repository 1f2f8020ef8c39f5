package daemon

import (
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListenAdmin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "admin.sock")
	listener, err := listenAdmin(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, want a socket that its owner alone may open", info.Mode())
	}

	if _, err := listenAdmin(path); err == nil || !strings.Contains(err.Error(), "another process serves on "+path) {
		t.Errorf("beside a live socket: error %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after close the socket is still there: %v", err)
	}
}

func TestListenAdminReplacesStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as kill -9 does
	dead.Close()

	listener, err := listenAdmin(path)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func TestListenAdminKeepsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(path); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

// answering serves one answer on a socket like that of a running anyport.
func answering(t *testing.T, handler http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "admin.sock")
	listener, err := listenAdmin(socket)
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
	got, err := ReadStatus(t.Context(), socket)
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
		garbage: garbage + ": the status cannot be read",
	} {
		if _, err := ReadStatus(t.Context(), socket); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
