package udp

import (
	"math/rand/v2"
	"testing"
)

// TestFirstDatagrams compares with a map that forgets nothing: a copy is that of the flow, or none.
func TestFirstDatagrams(t *testing.T) {
	var d firstDatagrams
	one, two := live(to(originAddr), dst1).Set().Routes[0], live(to(originAddr, backupAddr), dst1).Set().Routes[0]
	kept, found := map[uint32]string{}, 0
	random := rand.New(rand.NewPCG(1, 2))
	for generation := uint32(1); generation < 5000; generation++ {
		f := &liveFlow{Route: two, Sockets: flowSockets{generation: generation}}
		payload := make([]byte, random.IntN(2*maxFirstSize))
		if generation%10 == 0 {
			f.Route = one
		}
		for i := range payload {
			payload[i] = byte(random.Uint32())
		}
		d.keep(f, payload, uint8(generation))
		kept[generation] = string(payload)
		asked := &liveFlow{Route: two, Sockets: flowSockets{generation: generation - uint32(random.IntN(int(generation)))}}
		if got := d.takeOut(asked); got != nil {
			found++
			if string(got.payload) != kept[asked.Sockets.generation] || got.tos != uint8(asked.Sockets.generation) || asked.Sockets.generation%10 == 0 {
				t.Fatalf("flow %d of %d has the copy of another flow", asked.Sockets.generation, generation)
			}
			if d.takeOut(asked) != nil {
				t.Fatal("a copy is there twice")
			}
		}
	}
	if found == 0 {
		t.Error("no copy was found")
	}
}
