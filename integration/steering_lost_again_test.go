package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestQuarrel has another program remove a route repeatedly: anyport limits how often
// it restores the route, and logs what to configure. A reload restores it at once.
func TestQuarrel(t *testing.T) {
	t.Parallel()
	l := newLosing(t, (*host).withBPFFS, anyportRun, relayFile)
	const remove = "ip route del local 192.0.2.0/24 table local"
	for range 5 { // restored without a pause that often
		before := l.restored(t)
		l.edge.run(t, remove)
		eventually(t, "the route is back", func() bool { return l.restored(t) > before })
	}
	l.p.expect(t, "level=WARN", "keeps removing local routes", "pause=10s", "ManageForeignRoutes=no")
	l.edge.run(t, remove)
	l.missing(t, "the route local 192.0.2.0/24 dev lo is missing", dstV4)
	if got := anyport(t, "reload", "--socket", l.p.socket); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	l.serves(t, "a reload")
	l.edge.run(t, remove)
	l.serves(t, "a pause")
}

// TestUnrelatedChanges floods the kernel's queue of changes, among them the loss of one
// of anyport's routes: anyport restores it, and does no more work afterwards.
func TestUnrelatedChanges(t *testing.T) {
	t.Parallel()
	l := newLosing(t, (*host).withBPFFS, anyportRun, relayFile)
	var batch strings.Builder
	for _, verb := range []string{"add", "del"} {
		for i := range 1000 {
			fmt.Fprintf(&batch, "route %s 203.0.%d.%d/32 dev origin0\n", verb, 112+i/250, i%250)
			fmt.Fprintf(&batch, "route %s local 100.64.%d.%d/32 dev lo table local\n", verb, i/250, i%250)
			if verb == "del" && i == 500 {
				fmt.Fprintln(&batch, "route del local 192.0.2.0/24 table local")
			}
		}
	}
	file := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	l.edge.run(t, "ip -batch "+file)
	l.serves(t, "a burst")
	if got := l.restored(t); got != 1 {
		t.Errorf("%d routes put back, want 1", got)
	}
	begun, used := time.Now(), cpuTime(t, l.p.cmd.Process.Pid)
	time.Sleep(2 * time.Second)
	if used := cpuTime(t, l.p.cmd.Process.Pid) - used; used > time.Since(begun)/4 {
		t.Errorf("%v of processor time after the burst in %v", used, time.Since(begun))
	}
}

// cpuTime is the CPU time that a process has used, proc_pid_stat(5).
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var user, system int64
	fields := strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:]))
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ
}
