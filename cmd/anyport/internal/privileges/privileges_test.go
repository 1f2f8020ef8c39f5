package privileges

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/steering/capabilities"
)

func TestFind(t *testing.T) {
	root, err := Find("root")
	if err != nil || root.UID != 0 || root.GID != 0 {
		t.Errorf("root is %+v, %v", root, err)
	}
	if got, err := Find("987654321"); err != nil || got.UID != 987654321 || got.GID != 987654321 || len(got.Groups) != 0 {
		t.Errorf("a number without a name is %+v, %v", got, err)
	}
	for _, unusable := range []string{"-1", "-2", "4294967295", "4294967296", "99999999999999999999"} {
		if got, err := Find(unusable); err == nil {
			t.Errorf("%q is %+v, want an error: setresuid(2) takes -1 for no change, so root would stay root", unusable, got)
		}
	}
	if _, err := Find("no-such-user"); err == nil || !strings.Contains(err.Error(), "useradd --system") {
		t.Errorf("a name without a user: %v", err)
	}
}

// childEnv makes the test binary the process that drops its privileges.
const childEnv = "ANYPORT_TEST_DROP"

func TestMain(m *testing.M) {
	if as := os.Getenv(childEnv); as != "" {
		if err := drop(as); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// drop prints what each thread holds in the end; there are some from before.
func drop(as string) error {
	stop, running := make(chan struct{}), new(sync.WaitGroup)
	defer close(stop)
	for range 4 {
		running.Add(1)
		go blockThread(running, stop)
	}
	running.Wait()
	var account *Account
	if as != "root" {
		account = &Account{UID: 65534, GID: 65534}
	}
	if err := Drop(capabilities.Of(unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_ADMIN), account); err != nil {
		return err
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return err
		}
		fmt.Println(strings.Join(regexp.MustCompile(`(?m)^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)|NoNewPrivs):.*$`).FindAllString(string(text), -1), ";"))
	}
	return nil
}

// blockThread holds on to a thread until stop.
func blockThread(running *sync.WaitGroup, stop <-chan struct{}) {
	runtime.LockOSThread()
	running.Done()
	<-stop
}

// TestDrop lets processes drop what they have, and looks at all of their threads.
func TestDrop(t *testing.T) {
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("REQUIRE_ROOT") == "1":
		t.Fatal("to drop privileges one must have some")
	default:
		t.Skip("to drop privileges one must have some")
	}
	const kept = "CapInh:0000000000000000;CapPrm:0000000000001400;CapEff:0000000000001400;CapAmb:0000000000000000;NoNewPrivs:1"
	for as, want := range map[string]string{
		"root":   "Uid:0000;Gid:0000;",
		"nobody": "Uid:65534655346553465534;Gid:65534655346553465534;Groups:;" + kept,
	} {
		lines := dropIn(t, as)
		if len(lines) < 5 {
			t.Errorf("%s: %d threads, want more", as, len(lines))
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, want) || !strings.HasSuffix(line, kept) {
				t.Errorf("%s: a thread has %s", as, line)
			}
		}
	}
}

// dropIn returns a line for each thread, without its blanks.
func dropIn(t *testing.T, as string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+as)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", as, err, stderr.String())
	}
	text := strings.NewReplacer("\t", "", " ", "").Replace(strings.TrimSpace(string(out)))
	return strings.Split(text, "\n")
}
