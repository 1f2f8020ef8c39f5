package socket

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/slowfs"
)

// answers accepts conns until the socket is closed, and tells of the last error.
func answers(s *Socket) (ended chan error) {
	ended = make(chan error, 1)
	go func() { // ended by Close
		for {
			conn, err := s.Accept()
			if err != nil {
				ended <- err
				return
			}
			_, _ = conn.Write([]byte("well"))
			conn.Close()
		}
	}()
	return ended
}

func reaches(path string) bool {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	defer conn.Close()
	text := make([]byte, 4)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	n, _ := conn.Read(text)
	return string(text[:n]) == "well"
}

// TestRestore: after somebody has removed the file, the socket is there again for a server that has
// noticed nothing, and the one that was removed is closed.
func TestRestore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "admin.sock")
	s, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	ended := answers(s)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if !s.missing() || reaches(path) {
		t.Fatal("it is not missing")
	}
	var log bytes.Buffer
	if err := s.restore(nil, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	if s.missing() || !reaches(path) {
		t.Error("it is not restored")
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), path) {
		t.Errorf("the log says %q", log.String())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("Accept goes on after Close")
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the restored file is left: %v", err)
	}
}

// TestRestoreAfterClose: a socket that is restored while the process ends is removed again.
func TestRestoreAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	s, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	listener, err := listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.replace(listener); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("it is left: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("a second Close returned no error")
	}
}

// TestRestoreRefuses: what somebody else has put there stays.
func TestRestoreRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	s, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.restore(nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

// TestKeepFile runs the goroutine that restores the file, and ends it.
func TestKeepFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	s, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ended := answers(s)
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { s.KeepFile(ctx, nil, slog.New(slog.DiscardHandler)) })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !reaches(path); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not restored")
		}
	}
	cancel()
	keeping.Wait()
	select {
	case err := <-ended:
		t.Errorf("Accept has ended: %v", err)
	default:
	}
}

// TestInherit: until this process serves, the file is the other one's, who listens on the same socket.
func TestInherit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	first, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	file, err := first.listener.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inherit := func() *Socket {
		copied, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		return Inherit(copied.(*net.UnixListener), path, NoGroup)
	}
	s := inherit()
	if s.missing() || s.Addr().String() != path {
		t.Errorf("it is not the file at %v", s.Addr())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if first.missing() {
		t.Error("a process that never served has removed the file")
	}
	s = inherit()
	s.LeaveFile(false)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !first.missing() {
		t.Error("the file is left by the process that owns it")
	}
}

// TestHangingMount: an access to the path that hangs is an error in time, and the socket counts as there.
func TestHangingMount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	s, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	free := make(chan struct{})
	s.slow = slowfs.New(10 * time.Millisecond)
	_, _ = slowfs.Do(s.slow, "hang", func() (any, error) { <-free; return nil, nil })
	if s.missing() {
		t.Error("a socket that cannot be looked for is taken for removed")
	}
	if _, err := s.stat(); err == nil {
		t.Error("no error while an access hangs")
	}
	close(free)
}
