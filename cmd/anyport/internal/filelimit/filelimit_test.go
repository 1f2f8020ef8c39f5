package filelimit

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCapacity: more files are never room for less, and too few are room for nothing.
func TestCapacity(t *testing.T) {
	lastConns, lastFlows := 0, 0
	for _, limit := range []uint64{0, 1, 64, 1024, 4096, Few, Most, 1 << 30, 1<<64 - 1} {
		conns, flows := Capacity(limit)
		if conns < lastConns || flows < lastFlows {
			t.Errorf("%d files are room for %d conns and %d flows, fewer than before", limit, conns, flows)
		}
		if uint64(2*conns) > limit || uint64(flows) > limit {
			t.Errorf("%d files cannot hold %d conns or %d flows", limit, conns, flows)
		}
		lastConns, lastFlows = conns, flows
	}
	if conns, flows := Capacity(64); conns != 0 || flows != 0 {
		t.Errorf("64 files are room for %d conns and %d flows", conns, flows)
	}
	if most, more := first(Capacity(Most)), first(Capacity(1<<63)); most != more {
		t.Errorf("what is sized by the limit is not bounded: %d and %d conns", most, more)
	}
}

func first(conns, _ int) int { return conns }

// TestRaise: the limit is the one that the kernel has afterwards, no lower than before, and bounded.
func TestRaise(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	got, err := Raise()
	if err != nil {
		t.Fatal(err)
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	if got != now.Cur || got < min(before.Cur, Most) || got > Most && got != before.Cur {
		t.Errorf("%d files, the kernel says %d, before %d", got, now.Cur, before.Cur)
	}
}

// TestPreallocate leaves no file open, and says why it cannot.
func TestPreallocate(t *testing.T) {
	before := Open()
	if err := Preallocate(512); err != nil {
		t.Error(err)
	}
	if now := Open(); now != before {
		t.Errorf("%d files are open, %d before", now, before)
	}
	if err := Preallocate(1 << 40); err == nil {
		t.Error("a descriptor beyond every limit can be had")
	}
	if now := Open(); now != before {
		t.Errorf("%d files are open after a failure, %d before", now, before)
	}
}

func TestOpen(t *testing.T) {
	before := Open()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if now := Open(); now != before+1 {
		t.Errorf("with one more file: %d and %d", before, now)
	}
	file.Close()
	if now := Open(); now != before {
		t.Errorf("without it: %d and %d", before, now)
	}
}
