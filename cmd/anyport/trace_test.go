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

// TestFollowRefused: what a process refuses for good after an upgrade is asked once, and what may go away is asked
// again.
func TestFollowRefused(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		word   string // of the refusal
		final  bool
	}{
		"no such route":         {http.StatusConflict, "no_route", true},
		"not this user":         {http.StatusForbidden, "", true},
		"an old version":        {http.StatusNotFound, "", true},
		"an upgrade":            {http.StatusConflict, "", false},
		"a word of next year's": {http.StatusConflict, "busy", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "admin.sock")
			asked := answerTraces(t, path, func(n int, w http.ResponseWriter) {
				if n == 2 {
					w.Header().Set(admin.RefusedHeader, c.word)
					http.Error(w, "why not", c.status)
					return
				}
				reason := map[int]string{1: admin.TraceUpgrade, 3: "stopped"}[n]
				_ = json.NewEncoder(w).Encode(admin.TraceEvent{By: admin.ByTrace, Event: admin.TraceEnd, Reason: reason})
			})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := follow(ctx, admin.Client{Socket: path}, admin.TraceFilter{}, func(admin.TraceEvent) error { return nil })
			if n := asked(); (err != nil) != c.final || c.final && n != 2 || !c.final && n != 3 {
				t.Errorf("asked %d times, then %v", n, err)
			}
		})
	}
}

// answerTraces answers the n-th trace that is asked for on a socket. It returns how many were.
func answerTraces(t *testing.T, path string, answer func(n int, w http.ResponseWriter)) (asked func() int) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int32
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(int(n.Add(1)), w) })}
	go server.Serve(listener) // ended by Close
	t.Cleanup(func() { server.Close() })
	return func() int { return int(n.Load()) }
}

// TestFollowStopsPrinting: where an event of the process after an upgrade cannot be printed, the trace ends with
// that error. Asking again is for a process that does not answer yet.
func TestFollowStopsPrinting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	asked := answerTraces(t, path, func(_ int, w http.ResponseWriter) {
		out := json.NewEncoder(w)
		_ = out.Encode(admin.TraceEvent{By: admin.ByTrace, Event: admin.TraceBegin})
		_ = out.Encode(admin.TraceEvent{By: admin.ByTrace, Event: admin.TraceEnd, Reason: admin.TraceUpgrade})
	})

	full := errors.New("no space left")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := follow(ctx, admin.Client{Socket: path}, admin.TraceFilter{}, func(admin.TraceEvent) error {
		if asked() > 1 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || asked() != 2 {
		t.Errorf("asked %d times, then %v", asked(), err)
	}
}
