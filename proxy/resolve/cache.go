package resolve

import (
	"time"

	"github.com/miekg/dns"
)

// How long replies are kept, whatever their TTL is.
const (
	minTTL = time.Second
	maxTTL = 5 * time.Minute

	firstRetry   = time.Second // after a failure; it doubles while failures follow each other
	longestRetry = 30 * time.Second
)

// question is a name and a type of record.
type question struct {
	name string // fully qualified, in lower case
	kind uint16 // dns.TypeA, dns.TypeAAAA or dns.TypeSRV
}

func (q question) String() string { return q.name + " " + dns.TypeToString[q.kind] }

// cache holds the replies to the questions that the names in service need. It has no clock and does no
// I/O. It belongs to a Resolver, under its lock.
type cache map[question]*entry

// entry is what is known of a question.
type entry struct {
	reply  reply  // the last good one; the zero value if there was none
	good   bool   // there was one
	server string // that gave it

	until time.Time     // before this moment the question is not asked again
	err   error         // why the last try failed; nil if it did not
	retry time.Duration // the wait after that failure
}

// fresh returns the entry of q if q need not be asked at now.
func (c cache) fresh(q question, now time.Time) (*entry, bool) {
	e := c[q]
	return e, e != nil && now.Before(e.until)
}

// store keeps the reply to q for its TTL, between the bounds.
func (c cache) store(q question, r reply, server string, now time.Time) {
	c[q] = &entry{reply: r, good: true, server: server, until: now.Add(clampTTL(r.ttl))}
}

// fail notes that no server could answer q. The last good reply stays.
func (c cache) fail(q question, err error, now time.Time) {
	next := &entry{err: err, retry: firstRetry}
	if e := c[q]; e != nil {
		next.reply, next.good, next.server = e.reply, e.good, e.server
		if e.retry > 0 {
			next.retry = min(2*e.retry, longestRetry)
		}
	}
	next.until = now.Add(next.retry)
	c[q] = next
}

// expire makes every question due: the servers that were asked are no longer the system's.
func (c cache) expire() {
	for _, e := range c {
		e.until = time.Time{}
	}
}

// keep drops the questions that are not in used.
func (c cache) keep(used map[question]bool) {
	for q := range c {
		if !used[q] {
			delete(c, q)
		}
	}
}

// clampTTL bounds a TTL, so that a wrong one neither floods the server nor pins an old address.
func clampTTL(ttl time.Duration) time.Duration { return min(max(ttl, minTTL), maxTTL) }
