package udp

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"anyport/proxy/datagram"
)

// TestArrivalQueueIsBounded, in messages and in bytes.
func TestArrivalQueueIsBounded(t *testing.T) {
	for _, test := range []struct{ size, want int }{{1, maxWaiting}, {64 << 10, maxHeld >> 16}} {
		var q arrivalQueue
		a := arrival{Train: datagram.Train{Bytes: make([]byte, test.size)}}
		for range test.want {
			if !q.push(a) {
				t.Fatalf("no room for %d messages of %d bytes", test.want, test.size)
			}
		}
		if q.push(a) {
			t.Errorf("room for more than %d messages of %d bytes", test.want, test.size)
		}
		if got := len(q.pop(3)); got != 3 || !q.push(a) {
			t.Errorf("%d went; is there no room after that?", got)
		}
		if q.pop(maxWaiting); q.held != 0 || !q.empty() {
			t.Errorf("%d messages and %d bytes are left", len(q.queued()), q.held)
		}
		if q.push(arrival{}); cap(q.all) > keptArrivals || cap(q.bytes) > keptBytes {
			t.Errorf("after the rush it keeps memory for %d messages, %d bytes", cap(q.all), cap(q.bytes))
		}
	}
}

// FuzzArrivalQueue compares a queue with a slice of copies, whatever comes and goes in whatever
// sizes, and bounds its memory.
func FuzzArrivalQueue(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint16(64), uint8(10))
	}
	f.Add(uint64(1), uint16(65000), uint8(8))
	f.Add(uint64(2), uint16(0), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, size uint16, joins uint8) {
		random := rand.New(rand.NewPCG(seed, 0))
		var q arrivalQueue
		var naive [][]byte
		buffer := make([]byte, size) // overwritten all the time, as those of a batch are
		for step := range 50 {
			for range random.IntN(int(joins) + 1) {
				b := buffer[:random.IntN(len(buffer)+1)]
				for i := range b {
					b[i] = byte(step + i)
				}
				if q.push(arrival{Train: datagram.Train{Bytes: b}}) {
					naive = append(naive, bytes.Clone(b))
				}
			}
			next := q.pop(random.IntN(int(joins) + 1))
			for i, a := range next {
				if !bytes.Equal(a.Bytes, naive[i]) {
					t.Fatalf("step %d: %x, want %x", step, a.Bytes, naive[i])
				}
			}
			naive = naive[len(next):]
			if held := len(bytes.Join(naive, nil)); len(q.queued()) != len(naive) || q.held != held {
				t.Fatalf("step %d: %d messages and %d bytes, want %d and %d", step, len(q.queued()), q.held, len(naive), held)
			}
			if len(q.all) > 2*maxWaiting+1 || len(q.bytes) > 2*maxHeld+1<<16 {
				t.Fatalf("step %d: memory for %d messages, %d bytes", step, len(q.all), len(q.bytes))
			}
		}
	})
}
