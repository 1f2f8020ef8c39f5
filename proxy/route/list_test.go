package route

import (
	"slices"
	"testing"
)

// counting lists these conns, two a page.
func counting(conns ...Conn) Loop {
	return Loop{List: func() func([]Conn) []Conn {
		left := conns
		return func(page []Conn) []Conn {
			n := min(2, len(left))
			page = append(page, left[:n]...)
			left = left[n:]
			return page
		}
	}}
}

func TestConns(t *testing.T) {
	l := NewLive(1)
	names := func() (all []string) {
		for page := range l.Conns {
			for _, c := range page {
				all = append(all, c.Route)
			}
		}
		slices.Sort(all)
		return all
	}
	if got := names(); got != nil {
		t.Errorf("before there is a loop: %v", got)
	}
	cancel := l.Offer(counting(Conn{Route: "a"}, Conn{Route: "b"}, Conn{Route: "c"}))
	l.Offer(counting())
	l.Offer(counting(Conn{Route: "d"}))
	if got := names(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("listed %v", got)
	}
	pages := 0
	for page := range l.Conns {
		if pages++; page[0].Route == "a" {
			cancel() // the loop ends while it is listed
		}
	}
	if got := names(); !slices.Equal(got, []string{"d"}) || pages != 2 {
		t.Errorf("after a loop's end: %v; %d pages meanwhile, want 2", got, pages)
	}
}
