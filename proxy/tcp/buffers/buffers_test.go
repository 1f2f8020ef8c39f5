package buffers

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestClassOf(t *testing.T) {
	for n := 1; n <= Size; n++ {
		class := classOf(n)
		if size := 1 << (leastClass + class); class >= classes || size < n || class > 0 && size/2 >= n {
			t.Fatalf("%d bytes are kept in class %d", n, class)
		}
	}
}

// A store's buffers hold what plain slices hold, and it counts their sizes.
func TestStoreAgainstSlices(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random, fill := rand.New(rand.NewPCG(seed, 0)), rand.NewChaCha8([32]byte{1})
	s := NewStore(1)
	held := map[*Buffer][]byte{}
	for range 5000 {
		if len(held) < 20 {
			b := make([]byte, 1+random.IntN(1<<random.IntN(17)))
			fill.Read(b)
			held[s.Keep(b)] = b
		}
		kept := 0
		for k, want := range held {
			if !bytes.Equal(k.Held(), want) {
				t.Fatalf("%d bytes are held, %d were kept: they differ", len(k.Held()), len(want))
			}
			if k.Size() > max(4*len(want), 2<<leastClass) {
				t.Fatalf("%d bytes are held in %d", len(want), k.Size())
			}
			kept += k.Size()
		}
		if s.Kept() != kept {
			t.Fatalf("%d bytes are counted, %d are kept", s.Kept(), kept)
		}
		for k, was := range held {
			delete(held, k)
			if n := 1 + random.IntN(len(was)); n == len(was) {
				if left := s.Took(k, n); left != nil {
					t.Fatalf("%d bytes are left of none", len(left.Held()))
				}
			} else {
				held[s.Took(k, n)] = was[n:]
			}
			break // one, in the map's random order
		}
	}
}
