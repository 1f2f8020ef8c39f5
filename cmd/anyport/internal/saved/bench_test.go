package saved

import (
	"fmt"
	"testing"

	"anyport/proxy"
)

// BenchmarkSave is what each second costs a process: a few routes, and very many.
func BenchmarkSave(b *testing.B) {
	for _, routes := range []int{2, 1000, 60_000} {
		b.Run(fmt.Sprint(routes, " routes"), func(b *testing.B) {
			m := &fakeMemory{make([]byte, 1<<20+routes*1<<10), -1}
			book, _, err := Open(m, 1, func(int) bool { return true })
			if err != nil {
				b.Fatal(err)
			}
			names := make([]string, routes)
			for i := range names {
				names[i] = fmt.Sprint("route", i)
			}
			each := func(yield func(proxy.CounterID, uint64)) {
				for _, name := range names {
					for _, key := range []string{"tcp/arrived", "tcp/bytes/to_client", "tcp/bytes/to_origin", "tcp/ended/closed", "connects/1ms", "connects/ns"} {
						yield(proxy.CounterID{Route: name, Key: key}, 123456789)
					}
					yield(proxy.CounterID{Route: name, Origin: "10.0.0.5:80", Key: "conns"}, 1234567)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if full, err := book.Save(each, nil, false); full || err != nil {
					b.Fatal(full, err)
				}
			}
			b.ReportMetric(float64(len(book.encoder.bytes))/float64(routes), "B/route")
		})
	}
}
