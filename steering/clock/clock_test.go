package clock

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestParse: the offsets of a time namespace, as the kernel writes them.
func TestParse(t *testing.T) {
	got := parse("monotonic          -5         0\nboottime         1000        500\n")
	if want := (offsets{-5 * time.Second, 1000*time.Second + 500}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := parse(""); got != (offsets{}) {
		t.Errorf("without offsets: %+v", got)
	}
}

// reader is set in a process that prints its clocks.
const reader = "ANYPORT_TEST_CLOCKS"

// TestNamespace: a process in a time namespace reads the same as one that is in none.
func TestNamespace(t *testing.T) {
	if os.Getenv(reader) != "" {
		fmt.Println(int64(Boot()), int64(Monotonic()))
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Skip("time namespaces need root")
	}
	cmd := exec.Command("unshare", "--time", "--fork", "--boottime", "100000", "--monotonic", "200000", os.Args[0], "-test.run", "^TestNamespace$")
	cmd.Env = append(os.Environ(), reader+"=1")
	boot, monotonic := Boot(), Monotonic()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var thereBoot, thereMonotonic int64
	if _, err := fmt.Sscan(string(out), &thereBoot, &thereMonotonic); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	for name, passed := range map[string]time.Duration{"boot": time.Duration(thereBoot) - boot, "monotonic": time.Duration(thereMonotonic) - monotonic} {
		if passed < 0 || passed > 10*time.Minute { // a loaded machine
			t.Errorf("%s: the process in the namespace is %v ahead", name, passed)
		}
	}
}

// TestBoth: a process that is stopped between the readings of two clocks does not make a window end late.
func TestBoth(t *testing.T) {
	before := Boot()
	start, begun, reads := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), time.Now(), 0
	wall, boot := Both(func() time.Time {
		now := start.Add(time.Since(begun))
		if reads++; reads <= 3 {
			time.Sleep(300 * time.Millisecond)
		}
		return now
	})
	if late := (boot - before) - wall.Sub(start); late > 200*time.Millisecond {
		t.Errorf("windows end %v too late", late)
	}
}
