package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// TestFollowStopsPrinting: where an event of the process after an upgrade cannot be printed, the trace ends with
// that error. Asking again is for a process that does not answer yet.
func TestFollowStopsPrinting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		out := json.NewEncoder(w)
		_ = out.Encode(admin.TraceEvent{By: admin.ByTrace, Event: admin.TraceBegin})
		_ = out.Encode(admin.TraceEvent{By: admin.ByTrace, Event: admin.TraceEnd, Reason: admin.TraceUpgrade})
	})}
	go server.Serve(listener) // ended by Close
	t.Cleanup(func() { server.Close() })

	full := errors.New("no space left")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = follow(ctx, admin.Client{Socket: path}, admin.TraceFilter{}, func(admin.TraceEvent) error {
		if asked.Load() > 1 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || asked.Load() != 2 {
		t.Errorf("asked %d times, then %v", asked.Load(), err)
	}
}
