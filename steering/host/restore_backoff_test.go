package host

import (
	"slices"
	"testing"
	"time"
)

// TestRestoreBackoff: what others remove every second is put back five times at once, then
// after pauses, and at once again when they have been quiet for a minute.
func TestRestoreBackoff(t *testing.T) {
	var q restoreBackoff
	var got []int
	begun := 0
	start := time.Now()
	for second := range 200 {
		quiet := second >= 60 && second < 150
		if now := start.Add(time.Duration(second) * time.Second); !quiet && q.allows(now) {
			got = append(got, second)
			if q.record(now) {
				begun++
			}
		}
	}
	want := []int{0, 1, 2, 3, 4, 14, 24, 34, 44, 54, 150, 151, 152, 153, 154, 164, 174, 184, 194}
	if !slices.Equal(got, want) || begun != 2 {
		t.Errorf("put back at %v, want %v; told of %d quarrels, want 2", got, want, begun)
	}
}
