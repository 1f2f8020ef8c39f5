package systemd

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestWatchdog(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
		left      string // of WATCHDOG_USEC, for a process that takes this one's place
	}{
		{"30000000", own, 30 * time.Second, "30000000"},
		{"30000000", "", 30 * time.Second, "30000000"}, // as that process finds it
		{"30000000", own + "0", 0, ""},
		{"", own, 0, ""},
		{"soon", own, 0, "soon"},
		{"-1", own, 0, "-1"},
		{"18446744073709551615", own, 0, "18446744073709551615"}, // systemd's infinity
	} {
		t.Setenv("WATCHDOG_USEC", test.usec) // put back when the test ends
		t.Setenv("WATCHDOG_PID", test.pid)
		if test.pid == "" {
			os.Unsetenv("WATCHDOG_PID")
		}
		got := Watchdog()
		_, named := os.LookupEnv("WATCHDOG_PID")
		if left := os.Getenv("WATCHDOG_USEC"); got != test.want || left != test.left || named {
			t.Errorf("%+v: got %v, leaves %q and a pid: %t", test, got, left, named)
		}
	}
}
