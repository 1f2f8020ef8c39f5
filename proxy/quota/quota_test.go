package quota

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// TestQuotas takes and gives at random, and now and then divides another number, beside a count of all
// that is held.
func TestQuotas(t *testing.T) {
	for _, c := range []struct{ own, common, loops int }{{12, 88, 1}, {12, 88, 2}, {14, 86, 7}, {0, 3, 2}, {5, 0, 4}} {
		pool := NewPool(c.common)
		all, each := Divide(c.own, c.loops, pool), c.own/c.loops
		held := make([]int, c.loops)
		for range 10_000 {
			if rand.IntN(200) == 0 {
				c.own, c.common = rand.IntN(20), rand.IntN(100)
				pool.Resize(c.common + Redivide(all, c.own))
				each = c.own / c.loops
			}
			i, n, reserved := rand.IntN(c.loops), 1+rand.IntN(3), 0
			for j, n := range held {
				if j != i {
					reserved += max(n, each)
				}
			}
			if held[i] >= n && rand.IntN(5) < 2 {
				all[i].Give(n)
				held[i] -= n
				continue
			}
			want := held[i]+n <= each || reserved+held[i]+n <= c.own+c.common
			if took := all[i].Take(n); took != want {
				t.Fatalf("%+v, held %v: loop %d may take %d: %v, want %v", c, held, i, n, took, want)
			}
			if want {
				held[i] += n
			}
			if all[i].Held() != held[i] {
				t.Fatalf("loop %d holds %d, want %d", i, all[i].Held(), held[i])
			}
		}
	}
}

// TestInsist: what came from another process has its place above the bound, too.
func TestInsist(t *testing.T) {
	all := Divide(0, 2, NewPool(2))
	all[0].Insist(3)
	if all[0].Take(1) || all[1].Take(1) {
		t.Error("there is room above the bound")
	}
	all[0].Give(2)
	if !all[1].Take(1) || all[0].Take(1) {
		t.Error("what was given back is not what there is")
	}
}

// TestOverdrawn: where the whole has become less than what is held, one loop that gives back makes no room for
// another.
func TestOverdrawn(t *testing.T) {
	pool := NewPool(8)
	all := Divide(2, 2, pool)
	if !all[0].Take(5) || all[0].Overdrawn() {
		t.Error("5 of 10 are too many")
	}
	pool.Resize(2 + Redivide(all, 0))
	for held := 5; held > 2; held-- {
		if !all[1].Overdrawn() || all[1].Take(1) {
			t.Errorf("%d of 2 are held, and there is room", held)
		}
		all[0].Give(1)
	}
	if all[1].Overdrawn() || all[1].Take(1) {
		t.Error("2 of 2 are held")
	}
	all[0].Give(1)
	if !all[1].Take(1) {
		t.Error("1 of 2 is held, and there is no room")
	}
	if (*Quota)(nil).Overdrawn() {
		t.Error("a nil quota has a bound")
	}
}

func TestNoBound(t *testing.T) {
	var none *Quota
	none.Insist(1)
	none.Give(1)
	if !none.Take(1<<40) || none.Held() != 0 {
		t.Error("a nil quota has a bound")
	}
}

// TestManyLoops has loops take all at once: never more than there is.
func TestManyLoops(t *testing.T) {
	const own, common, loops = 100, 900, 4
	all := Divide(own, loops, NewPool(common))
	var group sync.WaitGroup
	for _, q := range all {
		group.Go(func() {
			for range own + common {
				q.Take(1)
			}
		})
	}
	group.Wait()
	held := 0
	for _, q := range all {
		held += q.Held()
	}
	if held != own+common {
		t.Errorf("%d are held, want %d", held, own+common)
	}
}

// TestRoom: who asks first sees whether Take would fail, and whether others would miss what it takes.
func TestRoom(t *testing.T) {
	q := New(1, NewPool(4))
	for held, want := range []struct{ ample, full bool }{{true, false}, {true, false}, {true, false}, {true, false}, {false, false}, {false, true}} {
		if q.Ample() != want.ample || q.Full() != want.full {
			t.Errorf("with %d taken: ample %v, full %v", held, q.Ample(), q.Full())
		}
		if q.Take(1) == want.full {
			t.Errorf("with %d taken one more is taken: %v", held, !want.full)
		}
	}
	var none *Quota
	if !none.Ample() || none.Full() {
		t.Error("no bound has an end")
	}
}
