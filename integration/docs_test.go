package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// block is a fenced block of a document.
type block struct {
	file string
	info string // what stands behind the opening fence
	text string
}

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```")

// documents returns the blocks of each document that users read.
func documents(t *testing.T) map[string][]block {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	below, belowErr := filepath.Glob("../docs/*/*.md")
	if err != nil || belowErr != nil || len(below) == 0 {
		t.Fatal(err, belowErr, below)
	}
	all := map[string][]block{}
	for _, file := range append(append(files, below...), "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			all[file] = append(all[file], block{file, m[1], m[2]})
		}
	}
	return all
}

// TestDocuments checks that each ```toml block is a file that anyport accepts (a
// ```toml fragment is a piece of one), and that each command in ```sh and ```console
// exists and has the flags shown.
func TestDocuments(t *testing.T) {
	t.Parallel()
	keys := writeKeys(t, os.Geteuid())
	for name, blocks := range documents(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			file := "" // the last whole file that the reader has seen
			for _, b := range blocks {
				switch b.info {
				case "toml":
					file = inFile(t, strings.ReplaceAll(b.text, "/etc/anyport/knock.keys", keys))
					if got := anyport(t, "check", "-c", file); got.status != 0 {
						t.Errorf("%s\nis refused: %s", b.text, got.stderr)
					}
				case "toml fragment":
					if err := toml.Unmarshal([]byte(b.text), &map[string]any{}); err != nil {
						t.Errorf("%s\nis not TOML: %v", b.text, err)
					}
				case "sh", "sh steps", "console":
					for _, command := range commands(b) {
						tryCommand(t, command, file)
					}
				}
			}
		})
	}
}

// commands returns the lines of a block that a reader types, without comments, pipes
// and prompts.
func commands(b block) []string {
	var all []string
	for line := range strings.Lines(b.text) {
		typed := strings.HasPrefix(b.info, "sh")
		for _, prompt := range []string{"# ", "$ "} {
			if rest, ok := strings.CutPrefix(line, prompt); ok && b.info == "console" {
				line, typed = rest, true
			}
		}
		line, _, _ = strings.Cut(line, " #")
		line, _, _ = strings.Cut(line, " |")
		if typed && strings.TrimSpace(line) != "" {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}

// tryCommand runs commands that only read, with the file that the document showed. It
// looks up the others in anyport's help and in the Makefile.
func tryCommand(t *testing.T, command, file string) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(command, "'", ""))
	switch strings.TrimPrefix(words[0], "./") {
	case "make":
		makefile, err := os.ReadFile("../Makefile")
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:`).Match(makefile) {
			t.Errorf("%s: the Makefile has no such target", command)
		}
	case "anyport":
		tryAnyport(t, command, words[1:], file)
	}
}

func tryAnyport(t *testing.T, command string, args []string, file string) {
	t.Helper()
	if i := slices.Index(args, "-c"); i >= 0 && file != "" && slices.Contains([]string{"check", "explain"}, args[0]) {
		args[i+1] = file
		if got := anyport(t, args...); got.status != 0 {
			t.Errorf("%s: %s", command, got.stderr)
		}
		return
	}
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i] // the options of another program follow
	}
	names := args[:1]
	if args[0] == "import" {
		names = args[:2]
	}
	help := anyport(t, append(slices.Clone(names), "--help")...)
	if help.status != 0 {
		t.Errorf("%s: %s", command, help.stderr)
	}
	for _, flag := range args[1:] {
		flag, _, _ = strings.Cut(flag, "=")
		if strings.HasPrefix(flag, "-") && !regexp.MustCompile(`(^|\s)`+flag+`\b`).MatchString(help.stdout) {
			t.Errorf("%s: anyport %s has no flag %s", command, strings.Join(names, " "), flag)
		}
	}
}

// TestClassic follows the README: one listener on four ports of a loopback address,
// with ncat as the origin, by the README's own file and commands.
func TestClassic(t *testing.T) {
	t.Parallel()
	needTool(t, "ncat")
	h := newHost(t, "loopback")
	var origin, file string
	for _, b := range documents(t)["../README.md"] {
		switch {
		case b.info == "sh" && strings.HasPrefix(b.text, "ncat --listen"):
			origin = strings.TrimSpace(b.text)
		case b.info == "toml" && strings.Contains(b.text, "allow_loopback"):
			file = inFile(t, b.text)
		}
	}
	readme, err := os.ReadFile("../README.md")
	client := regexp.MustCompile("`([^`]+ncat 127.7.7.7) 777`").FindSubmatch(readme)
	if err != nil || origin == "" || file == "" || client == nil {
		t.Fatal("the README has no ncat command or no file for it")
	}
	h.spawn(t, exec.Command("bash", "-c", "exec "+origin+" --verbose")).expect(t, "Listening on")
	h.spawn(t, anyportRun(file)).expect(t, "msg=serving")
	for _, port := range []string{"7", "77", "777", "7777"} {
		if got := h.output(t, "bash", "-c", string(client[1])+" "+port); got != "hello\n" {
			t.Errorf("port %s says %q", port, got)
		}
	}
	if _, err := h.tryDial("tcp", "", "127.7.7.7:78"); err == nil || outcome(err) != refused {
		t.Errorf("another port: %v, want it refused", err)
	}
}
