package steering

import (
	"testing"

	"anyport/bpf"
	"anyport/steering/clock"
	"anyport/steering/internal/interpreter"
	"anyport/steering/program"
)

// mostInstructions is what lookups took before routes could have hours, doors, and sockets of services:
// a route without these does not pay for them. A change that needs more says so here: since the program
// reports scans, clang keeps its context on the stack, for which "elsewhere" pays an instruction; and with two
// copies of the program, of which one traces, "UDP", "elsewhere" and "dropped" pay one for other registers.
// Since that copy also knows probes, clang arranges both in another way: "refused" and "dropped" pay two and one
// more, and most others up to ten less.
var mostInstructions = map[string]int{
	"TCP": 211, "UDP": 213, "IPv6": 203, "elsewhere": 77, "sources": 230,
	"birth": 332, "birth6": 329, "limited": 332, "again": 332, "datagrams": 267,
	"refused": 218, "dropped": 228,
}

// TestInstructions counts the instructions of lookups. Counts are the same on every machine, so they
// show a small change that the times of BenchmarkKernel do not show.
func TestInstructions(t *testing.T) {
	spec, err := bpf.LoadSteer()
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Boot()
	for _, l := range someLookups {
		t.Run(l.name, func(t *testing.T) {
			s, context := l.prepare(t)
			run, err := interpreter.Interpret(spec.Programs[bpf.SteerProgSteer].Instructions, s.loaded.Maps, context, uint64(now))
			if err != nil {
				t.Fatal(err)
			}
			if kernel, err := program.TestRun(s.loaded.Program, context, 1); err != nil || uint64(kernel) != run.Result {
				t.Errorf("the result is %d, and the kernel's is %d, %v", run.Result, kernel, err)
			}
			if most, bounded := mostInstructions[l.name]; bounded && run.Instructions > most {
				t.Errorf("%d instructions, want %d at most", run.Instructions, most)
			}
			t.Logf("%d instructions, %d calls of helpers", run.Instructions, run.Calls)
		})
	}
}
