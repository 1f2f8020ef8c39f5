package origin

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

	"anyport/config"
)

// chooser is one way to balance over some origins.
type chooser interface {
	// pick chooses among those whose share of what is new is above 0; nil if there is none.
	pick(client netip.Addr, share func(*Origin) float64) *Origin
}

func newChooser(b config.Balance, origins []*Origin) chooser {
	switch b {
	case config.LeastConn:
		return &leastConn{origins: origins}
	case config.Random:
		return random(origins)
	case config.SourceHash:
		return sourceHash(origins)
	case config.First:
		return first(origins)
	}
	return &roundRobin{origins: origins, credit: make([]float64, len(origins))}
}

// first takes the file's order.
type first []*Origin

func (f first) pick(_ netip.Addr, share func(*Origin) float64) *Origin {
	for _, o := range f {
		if share(o) > 0 {
			return o
		}
	}
	return nil
}

// roundRobin is nginx's smooth weighted round robin: at each pick the origins earn their share, and
// the richest one pays for all. So 3 and 1 give a a b a, never a a a b; and what one that is down
// would have got goes to all others by their shares, not to the next one in the order.
type roundRobin struct {
	origins []*Origin

	mu     sync.Mutex // of all loops
	credit []float64
}

func (r *roundRobin) pick(_ netip.Addr, share func(*Origin) float64) *Origin {
	r.mu.Lock()
	defer r.mu.Unlock()
	best, total := -1, 0.0
	for i, o := range r.origins {
		s := share(o)
		if s <= 0 {
			continue
		}
		total += s
		r.credit[i] += s
		if best < 0 || r.credit[i] > r.credit[best] {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	r.credit[best] -= total
	return r.origins[best]
}

// random draws two, each with the probability of its share, and takes the one with the fewer live
// conns for its share ("the power of two choices", Mitzenmacher 2001).
type random []*Origin

func (r random) pick(_ netip.Addr, share func(*Origin) float64) *Origin {
	a := r.draw(share)
	if a == nil {
		return nil
	}
	b := r.draw(func(o *Origin) float64 {
		if o == a {
			return 0
		}
		return share(o)
	})
	if b != nil && b.load(share(b)) < a.load(share(a)) {
		return b
	}
	return a
}

func (r random) draw(share func(*Origin) float64) (drawn *Origin) {
	total := 0.0
	for _, o := range r {
		total += share(o)
	}
	at := rand.Float64() * total
	for _, o := range r {
		s := share(o)
		if s <= 0 {
			continue
		}
		drawn = o
		if at -= s; at < 0 {
			break
		}
	}
	return drawn
}

// leastConn takes the origin with the fewest live conns for its share, and among equals the next in
// turn.
type leastConn struct {
	origins []*Origin
	next    atomic.Uint64
}

func (l *leastConn) pick(_ netip.Addr, share func(*Origin) float64) (best *Origin) {
	least := 0.0
	start, n := l.next.Add(1), uint64(len(l.origins))
	for i := range n {
		o := l.origins[(start+i)%n]
		s := share(o)
		if s <= 0 {
			continue
		}
		if load := o.load(s); best == nil || load < least {
			best, least = o, load
		}
	}
	return best
}

func (o *Origin) load(share float64) float64 { return float64(o.activeByBoth()) / share }

// sourceHash keeps a client on its origin. By rendezvous hashing (Thaler and
// Ravishankar 1998, weighted), the loss of an origin moves its own clients only.
type sourceHash []*Origin

func (s sourceHash) pick(client netip.Addr, share func(*Origin) float64) (best *Origin) {
	highest := math.Inf(-1)
	for _, o := range s {
		part := share(o)
		if part <= 0 {
			continue
		}
		if score := score(client, o, part); score > highest {
			best, highest = o, score
		}
	}
	return best
}

// score is the same in every process and on every edge: -share / ln(u), with u
// drawn from (0, 1) by a hash of both names.
func score(client netip.Addr, o *Origin, share float64) float64 {
	h := fnv.New64a()
	address := client.As16()
	h.Write(address[:])
	h.Write([]byte(o.Text))
	u := (float64(mix(h.Sum64())>>11) + 0.5) / (1 << 53)
	return -share / math.Log(u)
}

// mix spreads FNV's last bytes over the whole word (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
