package client

import (
	"testing"
)

// FuzzRanking holds a Ranking against a count that is searched from end to end. Each byte
// names a holder, and whether it gets one more or one less.
func FuzzRanking(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0x80, 0x80, 0x81, 2, 2, 2, 1, 1, 1})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var ranking Ranking[int]
		var holders [128]Holder[int]
		var held, changed [128]int
		for now, step := range steps {
			i := int(step & 0x7f)
			switch less := step&0x80 != 0; {
			case less && held[i] == 0:
				continue
			case less:
				ranking.Remove(&holders[i])
				held[i]--
			default:
				ranking.Add(&holders[i])
				held[i]++
			}
			changed[i] = now
			check(t, &ranking, &holders, held, changed)
		}
	})
}

func check(t *testing.T, ranking *Ranking[int], holders *[128]Holder[int], held, changed [128]int) {
	t.Helper()
	var want *Holder[int]
	best := -1
	for i := range held {
		if holders[i].Held() != held[i] {
			t.Fatalf("holder %d holds %d, want %d", i, holders[i].Held(), held[i])
		}
		if held[i] == 0 {
			continue
		}
		if best < 0 || held[i] > held[best] || held[i] == held[best] && changed[i] < changed[best] {
			best, want = i, &holders[i]
		}
	}
	if got := ranking.Largest(); got != want {
		t.Fatalf("the largest holder is not %d, which holds %d since step %d", best, held[max(best, 0)], changed[max(best, 0)])
	}
}

func BenchmarkRanking(b *testing.B) {
	var ranking Ranking[int]
	holders := make([]Holder[int], 1<<16)
	for i := 0; b.Loop(); i++ {
		h := &holders[i&(1<<16-1)]
		ranking.Add(h)
		ranking.Remove(h)
		ranking.Add(h)
		_ = ranking.Largest()
	}
}
