package scans

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestRanking compares a ranking with a log of all packets. Some keys come often, most come rarely, and there are more
// keys than room.
func TestRanking(t *testing.T) {
	const most = 20
	begun := time.Unix(0, 0)
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		r, log, since := NewRanking[int, int](most), []int{}, map[*Entry[int, int]]int{}
		weights := map[int]float64{} // of all packets of a key, halved as those of the ranking
		for range 5000 {
			key := int(random.ExpFloat64() * 10)
			if random.IntN(3) == 0 {
				key = random.IntN(500)
			}
			e := r.Add(key, begun.Add(time.Duration(len(log))))
			if e.Packets == 1 {
				since[e] = len(log)
			}
			log, weights[key] = append(log, key), weights[key]+1
			if random.IntN(1000) == 0 {
				r.Age(begun)
				for key := range weights {
					weights[key] /= 2
				}
			}
		}
		checkRanking(t, r, log, since, weights)
	}
}

func checkRanking(t *testing.T, r *Ranking[int, int], log []int, since map[*Entry[int, int]]int, weights map[int]float64) {
	t.Helper()
	if len(r.entries) != r.most || len(r.order) != r.most {
		t.Fatalf("%d entries, %d in the heap, want %d", len(r.entries), len(r.order), r.most)
	}
	for key, e := range r.entries {
		n := uint64(0)
		for _, k := range log[since[e]:] {
			if k == key {
				n++
			}
		}
		if e.Packets != n || e.Key != key || !e.Since.Equal(time.Unix(0, int64(since[e]))) {
			t.Errorf("key %d has %d packets since %v, the log has %d", key, e.Packets, e.Since, n)
		}
		// An odd weight loses a half when it is halved, so in all less than one.
		if w := weights[key]; float64(e.weight) <= w-1 || float64(e.weight) >= w+float64(e.assume)+2 {
			t.Errorf("key %d weighs %d, of which %d are assumed; it should weigh %.2f", key, e.weight, e.assume, w)
		}
	}
	for key, w := range weights {
		if r.entries[key] == nil && w >= float64(r.floor)+1 {
			t.Errorf("key %d is missing, and weighs %.2f: more than %d", key, w, r.floor)
		}
	}
	first := r.First(r.most + 1)
	for i, e := range first[1:] {
		if e.Packets > first[i].Packets {
			t.Errorf("%d packets come after %d", e.Packets, first[i].Packets)
		}
	}
	if len(first) != r.most || len(r.First(3)) != 3 {
		t.Errorf("%d are listed", len(first))
	}
}

// TestRankingForgets: a key that is quiet goes, and what it weighed is the least that a new key may weigh.
func TestRankingForgets(t *testing.T) {
	r, at := NewRanking[string, int](2), func(s int64) time.Time { return time.Unix(s, 0) }
	for range 8 {
		r.Add("old", at(1))
	}
	r.Add("new", at(5))
	r.Age(at(3))
	if len(r.entries) != 1 || len(r.order) != 1 || r.entries["new"] == nil || r.floor != 4 {
		t.Fatalf("%d entries, floor %d", len(r.entries), r.floor)
	}
	if e := r.Add("old", at(6)); e.weight != 5 || e.Packets != 1 || e.assume != 4 {
		t.Errorf("%+v", e)
	}
}
