package handover

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The test's own binary is the new process of these tests: with a first argument
// that names one of them it is what TestMain makes of it.
var successors = map[string]func(*Conn) int{
	"answers": func(old *Conn) int {
		m, err := old.Expect(Offer)
		if err != nil || len(m.FDs) != 1 || old.Send(Ready, session(os.Getpid()), m.FDs...) != nil {
			return 1
		}
		return 0
	},
	"fails": func(*Conn) int { return 3 },
	"makes": func(old *Conn) int {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil || old.Send(Ready, nil, fds[0]) != nil {
			return 1
		}
		select {}
	},
	"hangs": func(old *Conn) int { _, _ = old.Receive(); select {} },
}

func TestMain(m *testing.M) {
	if len(os.Args) < 2 || successors[os.Args[1]] == nil {
		os.Exit(m.Run())
	}
	old, err := Predecessor()
	if err != nil || old == nil {
		os.Exit(9)
	}
	os.Exit(successors[os.Args[1]](old))
}

func session(pid int) int {
	id, _ := unix.Getsid(pid)
	return id
}

func start(t *testing.T, successor string) *Successor {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(binary, []string{successor}, Self, false)
	if err != nil {
		t.Fatal(err)
	}
	s.SetTimeout(patience)
	t.Cleanup(func() {
		s.Kill()
		s.Close()
	})
	return s
}

func TestStart(t *testing.T) {
	s := start(t, "answers")
	if err := s.Send(Offer, nil, marked(t, 42)); err != nil {
		t.Fatal(err)
	}
	m, err := s.Expect(Ready)
	if err != nil {
		t.Fatal(err)
	}
	defer m.CloseFDs()
	var id int
	if err := m.Decode(&id); err != nil || id != s.PID() {
		t.Errorf("it runs in session %d, %v, want one of its own, %d", id, err, s.PID())
	}
	if got := mark(t, m.FDs[0]); got != 42 {
		t.Errorf("another file came back: %d", got)
	}
	if variables := strings.Join(os.Environ(), "\n"); strings.Contains(variables, environment) {
		t.Errorf("%s is left in this process's environment", environment)
	}
}

func TestSuccessorFails(t *testing.T) {
	s := start(t, "fails")
	if m, err := s.Receive(); err == nil {
		t.Errorf("received %v", m.Kind)
	}
	<-s.ended
	if state := s.Kill(); state != "exit status 3" {
		t.Errorf("ended with %q, want 3", state)
	}
}

// TestLastLine: what a successor says last is part of how it ended, wherever the lines are cut. One that takes
// this process's stderr is not heard any more.
func TestLastLine(t *testing.T) {
	for script, want := range map[string]string{
		"exit 3":                              "exit status 3",
		"echo one >&2; echo two >&2; exit 4":  "exit status 4: two",
		"printf 'no end of line' >&2; exit 5": "exit status 5: no end of line",
		"yes | head -c 100000 >&2; echo '  last  ' >&2; echo >&2; exit 6": "exit status 6: last",
	} {
		s, err := Start("/bin/sh", []string{"-c", script}, Self, true)
		if err != nil {
			t.Fatal(err)
		}
		<-s.ended
		if got := s.Wait(); got != want || !s.StderrTaken() {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
		s.Close()
	}
	s, err := Start("/bin/sh", []string{"-c", "exec sleep 1000"}, Self, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer s.Kill()
	if s.StderrTaken() {
		t.Error("one that keeps the pipe has taken the other stderr")
	}
}

func TestKill(t *testing.T) {
	if state := start(t, "hangs").Kill(); state != "signal: killed" {
		t.Errorf("ended with %q, want by a signal", state)
	}
}

func TestStartNothing(t *testing.T) {
	if _, err := Start(t.TempDir()+"/gone", nil, Self, true); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("got %v, want an error that names the binary", err)
	}
}

func TestNoPredecessor(t *testing.T) {
	if c, err := Predecessor(); c != nil || err != nil {
		t.Errorf("got %v, %v, want none", c, err)
	}
	for _, value := range []string{"", "x", "1", "999999"} {
		t.Setenv(environment, value)
		if c, err := Predecessor(); c != nil || err == nil {
			t.Errorf("%s=%q: got %v, %v, want an error", environment, value, c, err)
		}
	}
}
