package integration

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// ecnWitness notes what a QUIC client finds out about ECN on its path: it marks its first
// datagrams ECT(0), and the server tells how many came so (RFC 9000 §13.4.2).
type ecnWitness struct {
	mu     sync.Mutex
	states []qlog.ECNState
}

func (w *ecnWitness) config() *quic.Config {
	return &quic.Config{Tracer: func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return w }}
}

// AddProducer, SupportsSchemas, RecordEvent and Close make w quic-go's trace and its recorder.
func (w *ecnWitness) AddProducer() qlogwriter.Recorder { return w }
func (w *ecnWitness) SupportsSchemas(string) bool      { return true }
func (w *ecnWitness) Close() error                     { return nil }

func (w *ecnWitness) RecordEvent(event qlogwriter.Event) {
	if ecn, ok := event.(qlog.ECNStateUpdated); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.states = append(w.states, ecn.State)
	}
}

// capable is an error unless the client has found its path to carry ECN.
func (w *ecnWitness) capable() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.states, qlog.ECNStateCapable) {
		return fmt.Errorf("ECN does not pass: its states were %v", w.states)
	}
	return nil
}
