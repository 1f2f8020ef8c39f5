package fleet

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// sourceBuckets is how many buckets there are for clients. Clients with one hash share a bucket: nothing
// has to be evicted.
const sourceBuckets = 4096

// buckets bound the questions about UDP flows, of one client and of all: see questionsRate. The zero
// value is full.
type buckets struct {
	all     bucket
	sources []bucket
	seed    maphash.Seed
}

// bucket is when it is full again.
type bucket time.Duration

// take takes a token if both buckets have one.
func (b *buckets) take(client netip.Addr, now time.Duration) bool {
	if b.sources == nil {
		b.sources, b.seed = make([]bucket, sourceBuckets), maphash.MakeSeed()
	}
	bits := 64 // of IPv6: what one host has
	if client.Is4() {
		bits = 32
	}
	network, _ := client.Prefix(bits)
	own := &b.sources[maphash.Comparable(b.seed, network)%sourceBuckets]
	before := *own
	if !own.take(now, sourceQuestionsRate, sourceQuestionsBurst) {
		return false
	}
	if !b.all.take(now, questionsRate, questionsBurst) {
		*own = before
		return false
	}
	return true
}

func (b *bucket) take(now time.Duration, rate, burst uint64) bool {
	next := max(time.Duration(*b), now) + time.Duration(spacing(rate, 1))
	if next > now+time.Duration(spacing(rate, burst)) {
		return false
	}
	*b = bucket(next)
	return true
}
