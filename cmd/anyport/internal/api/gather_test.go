package api

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
)

// BenchmarkScrape answers a scrape with 10,000 routes that all carry traffic.
func BenchmarkScrape(b *testing.B) {
	status := admin.Status{}
	for i := range 10_000 {
		r := busyStatus().Routes[0]
		r.Name = fmt.Sprint("route", i)
		status.Routes = append(status.Routes, r)
	}
	handler := promhttp.HandlerFor(newGatherer(func() admin.Status { return status }), promhttp.HandlerOpts{})
	before := cpuTime(b)
	size := 0
	for b.Loop() {
		answer := discarded{httptest.NewRecorder(), &size}
		handler.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	}
	size /= b.N
	b.ReportMetric((cpuTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(size)/1e6, "MB")
}

// discarded is an answer that nobody keeps.
type discarded struct {
	*httptest.ResponseRecorder
	size *int
}

func (d discarded) Write(b []byte) (int, error) {
	*d.size += len(b)
	return len(b), nil
}

// cpuTime is what the process has used, the garbage collector included.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
