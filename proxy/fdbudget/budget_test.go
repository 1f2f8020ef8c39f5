package fdbudget

import (
	"strings"
	"testing"

	"anyport/proxy/quota"
)

// TestDivide: whatever the limit, the parts are the whole, no part is empty, and all that
// traffic can take leaves the reserve alone.
func TestDivide(t *testing.T) {
	for _, limit := range []int{300, 400, 1000, 1024, 65536, 1 << 20} {
		b, err := Divide(limit, 100)
		if err != nil {
			t.Errorf("%d files: %v", limit, err)
			continue
		}
		if sum := b.Process + b.Reserve + b.TCP + b.Flows + b.Replies + b.Common; sum != limit {
			t.Errorf("%d files: the parts of %+v are %d", limit, b, sum)
		}
		shares := b.Shares(2, 1)
		for _, greedy := range [][]*quota.Quota{shares.TCP, shares.Flows, shares.Replies} {
			takeAll(greedy)
		}
		if used := b.Used(shares); used.All() != limit-b.Reserve {
			t.Errorf("%d files: %+v are taken, want all but the reserve of %d", limit, used, b.Reserve)
		}
	}
}

// TestOwn: one use that takes all it can leaves each other one its own.
func TestOwn(t *testing.T) {
	b, err := Divide(400, 80)
	if err != nil {
		t.Fatal(err)
	}
	shares := b.Shares(2, 1)
	takeAll(shares.TCP)
	if n := takeAll(shares.Flows); n != b.Flows {
		t.Errorf("flows have %d, want their own %d", n, b.Flows)
	}
	if n := takeAll(shares.Replies); n != b.Replies {
		t.Errorf("replies have %d, want their own %d", n, b.Replies)
	}
}

func TestTooFew(t *testing.T) {
	if _, err := Divide(128, 60); err == nil || !strings.Contains(err.Error(), "LimitNOFILE") {
		t.Errorf("128 files: %v, want what to do", err)
	}
}

// TestFit: what is held stays held where the limit is lowered, and nothing more can be taken; where it is
// raised again there is as much room as before.
func TestFit(t *testing.T) {
	b, err := Divide(1000, 100)
	if err != nil {
		t.Fatal(err)
	}
	shares := b.Shares(2, 1)
	most := takeAll(shares.TCP)
	for _, limit := range []int{500, 120, 50} {
		less := Fit(limit, 100)
		if sum := less.TCP + less.Flows + less.Replies + less.Common; sum > max(0, limit-less.Process-less.Reserve) || less.Reserve < 0 {
			t.Errorf("%d files: %+v has more", limit, less)
		}
		shares.Change(less)
		if n := takeAll(shares.TCP); n != 0 || less.Used(shares).TCP.Held != most {
			t.Errorf("%d files: %d more are taken, %d held; want %d", limit, n, less.Used(shares).TCP.Held, most)
		}
		if n := takeAll(shares.Flows); n != less.Flows {
			t.Errorf("%d files: flows have %d, want their own %d", limit, n, less.Flows)
		}
		for range less.Flows {
			shares.Flows[0].Give(1)
		}
	}
	shares.Change(b)
	if n := takeAll(shares.Flows); n != b.Flows {
		t.Errorf("as before: flows have %d, want their own %d", n, b.Flows)
	}
}

func takeAll(loops []*quota.Quota) (taken int) {
	for _, q := range loops {
		for q.Take(1) {
			taken++
		}
	}
	return taken
}
