package integration

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// session is a shell in which a test types the commands of a document. It has a directory of its own, with
// the built anyport in its PATH, an empty /run, and a process namespace that ends with it.
type session struct {
	shell *process
	typed io.Writer
	dir   string
	count int // commands typed
	seen  int // bytes of the shell's journal that belong to earlier commands
}

// reader evaluates a line after the other. What it starts does not read the lines that follow.
const reader = `mount -t tmpfs tmpfs /run && set -m
while IFS= read -r line; do
	eval "$line" </dev/null
	printf '\ntyped %d\n' $?
done`

func (h *host) newSession(t *testing.T) *session {
	t.Helper()
	s := &session{dir: t.TempDir()}
	if err := os.Symlink(program, filepath.Join(s.dir, "anyport")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(needTool(t, "unshare"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", reader)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "PATH="+s.dir+":/usr/sbin:/sbin:"+os.Getenv("PATH"))
	typed, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.typed, s.shell = typed, h.spawn(t, cmd)
	t.Cleanup(func() {
		logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
		for _, log := range logs {
			if text, err := os.ReadFile(log); err == nil && t.Failed() {
				t.Logf("%s:\n%s", filepath.Base(log), text)
			}
		}
	})
	return s
}

// follow saves the file of a toml block as anyport.toml. It types the commands of a console block, and
// expects what the block shows after each of them.
func (s *session) follow(t *testing.T, b block) {
	t.Helper()
	switch b.info {
	case "toml":
		if err := os.WriteFile(filepath.Join(s.dir, "anyport.toml"), []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
	case "console":
		for _, shown := range strings.Split("\n"+b.text, "\n# ")[1:] {
			command, want, _ := strings.Cut(shown, "\n")
			s.expect(t, command, strings.TrimSpace(want))
		}
	}
}

// expect types a command until it prints what the document shows. A reader would wait and try again, too;
// a command that changes something fails when it is typed twice.
func (s *session) expect(t *testing.T, command, want string) {
	t.Helper()
	pattern := shownAs(want)
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		got, status := s.typeIn(t, command)
		if pattern.MatchString(got+"\n") && (want != "" || status == 0) {
			return
		}
		if time.Now().After(deadline) || want == "" {
			t.Fatalf("%s\nprints\n%s\nwith status %d; the document shows\n%s", command, got, status, want)
		}
	}
}

// jobs are lines of bash about programs in the background.
var jobs = regexp.MustCompile(`(?m)^\[\d\][-+ ] .*\n?`)

// typeIn returns what the shell printed meanwhile, and the exit status.
func (s *session) typeIn(t *testing.T, command string) (printed string, status int) {
	t.Helper()
	s.count++
	if _, err := io.WriteString(s.typed, command+"\n"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(3 * patience); ; time.Sleep(5 * time.Millisecond) {
		text := s.shell.String()[s.seen:]
		before, after, ended := strings.Cut(text, "\ntyped ")
		if _, err := fmt.Sscanf(after, "%d\n", &status); ended && err == nil {
			s.seen += strings.Index(text, "\ntyped ") + len("\ntyped ") + strings.Index(after, "\n") + 1
			return strings.TrimSpace(jobs.ReplaceAllString(before, "")), status
		}
		if !s.shell.alive() || time.Now().After(deadline) {
			t.Fatalf("%s does not end:\n%s", command, text)
		}
	}
}

// shownAs matches what a document shows: … stands for a part of a line, a line of … for any lines, and
// blanks for any blanks. What is printed ends with a newline.
func shownAs(want string) *regexp.Regexp {
	var lines []string
	for _, line := range strings.Split(want, "\n") {
		if line == "…" {
			lines = append(lines, `(?:.*\n)*?`)
			continue
		}
		var words []string
		for _, word := range strings.Fields(line) {
			words = append(words, strings.ReplaceAll(regexp.QuoteMeta(word), "…", `.*`))
		}
		lines = append(lines, `[ \t]*`+strings.Join(words, `[ \t]+`)+`[ \t]*\n`)
	}
	return regexp.MustCompile(`^` + strings.Join(lines, "") + `$`)
}
