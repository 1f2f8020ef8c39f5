package services

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestUnstarted: a copy of the manager in another cgroup has not started, and nothing else.
func TestUnstarted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("cgroups need root")
	}
	root, err := mountOfCgroup2()
	if err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		name, child           string
		executes, moved, want bool
	}{
		{"copy", "(read _ <&3)", false, true, true},
		{"copy beside the manager", "(read _ <&3)", false, false, false},
		{"program", "sh -c 'read _ <&3'", true, true, false},
		{"other program", "cat <&3", true, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			parent, child := family(t, test.child)
			if test.moved {
				move(t, filepath.Join(root, fmt.Sprintf("anyport-unstarted-%d", child)), child)
			}
			for test.executes && flagsOf(child)&forkedOnly != 0 {
				time.Sleep(time.Millisecond)
			}
			if got := unstarted(child, parent); got != test.want {
				t.Errorf("unstarted: %v", got)
			}
			if unstarted(parent, parent) {
				t.Error("the manager itself has not started")
			}
		})
	}
}

// family is a shell and its child, until the test ends.
func family(t *testing.T, child string) (parentID, childID int) {
	t.Helper()
	parent := exec.Command("sh", "-c", "exec 3<&0\n"+child+" &\necho $!\nwait")
	stdin, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		parent.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return parent.Process.Pid, pid
}

// move puts a process into a new cgroup, and back where it came from when the test ends.
func move(t *testing.T, group string, pid int) {
	t.Helper()
	into := func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "cgroup.procs"), strconv.AppendInt(nil, int64(pid), 10), 0o600)
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := into(filepath.Dir(group)); err != nil {
			t.Error(err)
		}
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	if err := into(group); err != nil {
		t.Fatal(err)
	}
}
