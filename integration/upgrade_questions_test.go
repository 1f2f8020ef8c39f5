package integration

import (
	"sync"
	"testing"
)

// TestQuestionsDuringUpgrades keeps asking for the status during upgrades: one of the
// processes always answers.
func TestQuestionsDuringUpgrades(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newRig(t)
	p := r.edge.serveWith(t, relayFile)
	f := newFamily(t, p)
	over, asking := make(chan struct{}), new(sync.WaitGroup)
	for range 2 {
		asking.Go(func() { // ended by over
			for {
				select {
				case <-over:
					return
				default:
				}
				if got := command(t, program, "status", "--json", "--socket", p.socket); got.status != 0 {
					t.Errorf("status: %+v", got)
				}
			}
		})
	}
	for range soak(15, 200) {
		f.upgrade(t)
	}
	close(over)
	asking.Wait()
}
