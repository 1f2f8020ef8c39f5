package accesslog

import (
	"log/slog"
	"testing"

	"anyport/config"
)

// BenchmarkLine makes a line without a destination.
func BenchmarkLine(b *testing.B) {
	for name, format := range map[string]func([]byte, *entry) []byte{"text": appendText, "json": appendJSON, "journal": journalEntry} {
		b.Run(name, func(b *testing.B) {
			r, line := record, []byte(nil)
			b.ReportAllocs()
			for b.Loop() {
				e := entryOf(&r)
				line = format(line[:0], &e)
			}
		})
	}
}

// BenchmarkRecord is what a conn's event loop pays for its record.
func BenchmarkRecord(b *testing.B) {
	a, err := Open(config.Log{Access: "/dev/null"}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a.Record(record)
	}
	if err := a.Close(); err != nil {
		b.Fatal(err)
	}
}
