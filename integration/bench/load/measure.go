package load

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tally is what one goroutine of the client counts. The padding keeps two of them
// out of one cache line.
type tally struct {
	ops, failed, wrong atomic.Int64
	latencies          []time.Duration // of those that fell into the measured time
	_                  [64]byte
}

// measure counts what a load that is under way does in the measured time, after
// the warm-up. Each worker has a tally of its own and runs until done is closed.
func measure(job Job, workers int, work func(i int, t *tally, m *window)) (Result, error) {
	m := &window{done: make(chan struct{})}
	tallies := make([]tally, workers)
	var group sync.WaitGroup
	for i := range tallies {
		group.Go(func() { work(i, &tallies[i], m) }) // ends with done
	}
	r, err := m.watch(job, tallies)
	close(m.done)
	group.Wait()
	r.percentiles(tallies)
	return r, err
}

// window is the time that counts.
type window struct {
	open atomic.Bool
	done chan struct{}
}

// over reports whether the load may end.
func (m *window) over() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// watch reads the meters before and after the measured time, whose length is Job.Measure. What is counted during
// the warm-up is subtracted.
func (m *window) watch(job Job, tallies []tally) (Result, error) {
	time.Sleep(job.WarmUp)
	before, err := read(job)
	if err != nil {
		return Result{}, err
	}
	var r Result
	r.Ops = -count(tallies)
	m.open.Store(true)
	time.Sleep(job.Measure)
	m.open.Store(false)
	after, err := read(job)
	r.add(tallies)
	after.since(before, &r)
	return r, err
}

// count is the sum of what all workers have done so far.
func count(tallies []tally) (ops float64) {
	for i := range tallies {
		ops += float64(tallies[i].ops.Load())
	}
	return ops
}

// add adds what was counted. What failed counts from the beginning: a conn that
// broke in the warm-up is missing all the time.
func (r *Result) add(tallies []tally) {
	r.Ops += count(tallies)
	for i := range tallies {
		r.Failed += float64(tallies[i].failed.Load())
		r.Wrong += float64(tallies[i].wrong.Load())
	}
}

// percentiles is for after the workers have ended.
func (r *Result) percentiles(tallies []tally) {
	var all []time.Duration
	for i := range tallies {
		all = append(all, tallies[i].latencies...)
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(share float64) float64 { return all[int(share*float64(len(all)-1))].Seconds() }
	r.P50, r.P99, r.P999 = at(0.5), at(0.99), at(0.999)
}
