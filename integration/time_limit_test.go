package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// leftOut are the tests that a CI with a limit of time had no time for. On the machines that it is made for there are
// none. .ci/run sets the time after which no test begins, in seconds since 1970, and prints the names.
var leftOut struct {
	sync.Mutex
	tests []string
}

// needTime ends a test that begins too late.
func needTime(t *testing.T) {
	t.Helper()
	until, err := strconv.ParseInt(os.Getenv("ANYPORT_UNTIL"), 10, 64)
	if err != nil || time.Now().Unix() < until {
		return
	}
	leftOut.Lock()
	leftOut.tests = append(leftOut.tests, t.Name())
	leftOut.Unlock()
	t.Skip("CI has no more time: make integration")
}

// noteLeftOut adds the names to the file that .ci/run prints.
func noteLeftOut() error {
	if len(leftOut.tests) == 0 {
		return nil
	}
	slices.Sort(leftOut.tests)
	text := fmt.Sprintf("integration: there was no time for %d tests: %s\n", len(leftOut.tests), strings.Join(leftOut.tests, " "))
	return os.WriteFile(os.Getenv("ANYPORT_LEFT_OUT"), []byte(text), 0o600)
}
