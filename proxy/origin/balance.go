package origin

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"

	"anyport/config"
)

// chooser is one way to balance over some origins, each of weight ≥ 1.
type chooser interface {
	// pick chooses among the origins for which open is true; nil if there are none.
	pick(client netip.Addr, open func(*Origin) bool) *Origin
}

func newChooser(b config.Balance, origins []*Origin) chooser {
	switch b {
	case config.LeastConn:
		return &leastConn{origins: origins}
	case config.Random:
		return random{turns(origins)}
	case config.SourceHash:
		return sourceHash(origins)
	case config.First:
		return first(origins)
	}
	return &roundRobin{turns: turns(origins)}
}

// first takes the first open origin in the file's order.
type first []*Origin

func (f first) pick(_ netip.Addr, open func(*Origin) bool) *Origin {
	return from(f, 0, open)
}

// from returns the first open origin at or after index at, wrapping around once.
func from(origins []*Origin, at uint64, open func(*Origin) bool) *Origin {
	n := uint64(len(origins))
	for i := range n {
		if o := origins[(at+i)%n]; open(o) {
			return o
		}
	}
	return nil
}

// roundRobin takes the turns one after the other.
type roundRobin struct {
	turns []*Origin
	next  atomic.Uint64
}

func (r *roundRobin) pick(_ netip.Addr, open func(*Origin) bool) *Origin {
	return from(r.turns, r.next.Add(1)-1, open)
}

// random takes a random turn.
type random struct{ turns []*Origin }

func (r random) pick(_ netip.Addr, open func(*Origin) bool) *Origin {
	return from(r.turns, rand.Uint64(), open)
}

// turns lists each origin as often as its weight says, spread evenly: 3 and 1 give a a b a, not
// a a a b. It is nginx's smooth weighted round robin, computed in advance.
func turns(origins []*Origin) []*Origin {
	total, divisor := 0, 0
	for _, o := range origins {
		total += o.Weight
		divisor = gcd(divisor, o.Weight)
	}
	if total == 0 {
		return nil
	}
	list := make([]*Origin, 0, total/divisor)
	credit := make([]int, len(origins))
	for len(list) < cap(list) {
		best := 0
		for i, o := range origins {
			credit[i] += o.Weight
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		list = append(list, origins[best])
	}
	return list
}

// gcd is the greatest common divisor: weights 200 and 100 make three turns, not 300.
func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// leastConn takes the origin with the fewest live conns in relation to its weight, and the next one in
// turn among equals.
type leastConn struct {
	origins []*Origin
	next    atomic.Uint64
}

func (l *leastConn) pick(_ netip.Addr, open func(*Origin) bool) *Origin {
	var best *Origin
	start, n := l.next.Add(1), uint64(len(l.origins))
	for i := range n {
		o := l.origins[(start+i)%n]
		if open(o) && (best == nil || o.load() < best.load()) {
			best = o
		}
	}
	return best
}

func (o *Origin) load() float64 { return float64(o.Active()) / float64(o.Weight) }

// sourceHash keeps a client on its origin by weighted rendezvous hashing (Thaler and Ravishankar
// 1998): if an origin fails, only its own clients move.
type sourceHash []*Origin

func (s sourceHash) pick(client netip.Addr, open func(*Origin) bool) *Origin {
	var best *Origin
	bestScore := math.Inf(-1)
	for _, o := range s {
		if !open(o) {
			continue
		}
		if score := score(client, o); score > bestScore {
			best, bestScore = o, score
		}
	}
	return best
}

// score is the same in every process and on every edge: -weight / ln(u), with u
// drawn from (0, 1) by a hash of both names.
func score(client netip.Addr, o *Origin) float64 {
	h := fnv.New64a()
	address := client.As16()
	h.Write(address[:])
	h.Write([]byte(o.Text))
	u := (float64(mix(h.Sum64())>>11) + 0.5) / (1 << 53)
	return -float64(o.Weight) / math.Log(u)
}

// mix spreads FNV's last bytes over the whole word (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
