package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tmux is a terminal of 80 × 24 with a shell in it. It has a server of its own.
type tmux struct{ socket string }

// newTmux starts one for the test.
func newTmux(t *testing.T) tmux {
	t.Helper()
	term := tmux{filepath.Join(t.TempDir(), "tmux")}
	term.do(t, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env", "PS1=ready> ", "sh")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	return term
}

func (term tmux) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("tmux %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// press sends keys by the names that tmux has for them.
func (term tmux) press(t *testing.T, keys ...string) {
	t.Helper()
	term.do(t, append([]string{"send-keys"}, keys...)...)
}

// shows waits until the screen has all of some texts, and returns its lines.
func (term tmux) shows(t *testing.T, texts ...string) []string {
	t.Helper()
	screen := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if screen = term.do(t, "capture-pane", "-p"); holdsAll(screen, texts) {
			return strings.Split(strings.TrimRight(screen, "\n"), "\n")
		}
	}
	t.Fatalf("the screen lacks some of %q:\n%s", texts, screen)
	return nil
}

// TestTop uses `anyport top` in a terminal of 80 × 24: it sorts, filters, scrolls to the last of many flows, kills
// one, follows a change of the terminal's size, and leaves the terminal as it was.
func TestTop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, twoRoutes)
	const flows = 30
	quiet := r.client.dial(t, "tcp", dstV4+":4711")
	talk(t, quiet, "hello")
	for range flows - 1 {
		talk(t, r.client.dial(t, "tcp", dstV4+":4711"), strings.Repeat("more ", 100))
	}
	term := newTmux(t)
	term.shows(t, "ready>")
	term.press(t, program+" top --interval 300ms --socket "+p.socket, "Enter")
	lines := term.shows(t, "[1 routes 2]", "ROUTE ", "web ", "q leave")
	for _, line := range lines {
		if strings.HasPrefix(line, "ROUTE") && !strings.HasSuffix(line, "STATE") {
			t.Errorf("a column is cut: %q", line)
		}
	}
	term.press(t, "3")
	lines = term.shows(t, fmt.Sprintf("[3 flows %d]", flows), "sort: rate", "OUT/S", "id ")
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	term.press(t, "s") // by bytes: the quiet one is the last
	term.shows(t, "sort: bytes", "IDLE")
	for range flows - 1 {
		term.press(t, "Down")
	}
	term.shows(t, quiet.LocalAddr().String(), "tcp "+quiet.LocalAddr().String()+" → ", "5 B in")
	term.press(t, "/")
	term.press(t, "-l", strings.TrimPrefix(quiet.LocalAddr().String(), "198.51.100.2"))
	term.press(t, "Enter")
	term.shows(t, "filter: :", "tcp "+quiet.LocalAddr().String()+" → ", "q leave")
	term.press(t, "K")
	term.shows(t, "kill the flow of "+quiet.LocalAddr().String()+"? y/n")
	term.press(t, "y")
	term.shows(t, "1 conn or flow ended", fmt.Sprintf("3 flows %d]", flows-1))
	if !isReset(quiet) {
		t.Error("the killed conn got no RST")
	}
	term.do(t, "resize-window", "-x", "160", "-y", "40")
	term.press(t, "Escape")
	lines = term.shows(t, "STATE", "ROUTE", "ID", fmt.Sprintf("3 flows %d]", flows-1))
	if len(lines) != 40 {
		t.Errorf("after the terminal has grown, %d lines", len(lines))
	}
	term.press(t, "q")
	lines = term.shows(t, "ready>", "top --interval")
	for _, line := range lines {
		if strings.Contains(line, "q leave") {
			t.Errorf("something is left on the screen: %q", line)
		}
	}
	term.press(t, "stty -a | tr ';' '\\n' | grep -c -w -e ' echo' -e ' icanon'; echo is''-back", "Enter")
	term.shows(t, "is-back") // the terminal echoes input again, and ends lines as before
	if screen := term.do(t, "capture-pane", "-p"); !strings.Contains(screen, "stty -a") {
		t.Errorf("the terminal does not echo:\n%s", screen)
	}
	term.press(t, program+" top --once --interval 100ms --socket "+p.socket+"; echo end''ed", "Enter")
	term.shows(t, "ended", "ROUTE")
}
