package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
// ```toml fragment is a piece of one), and that each command in ```sh, in ```console and in
// the text exists and has the flags shown.
func TestDocuments(t *testing.T) {
	t.Parallel()
	named := writeNamedFiles(t)
	for name, blocks := range documents(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			needTime(t)
			file := "" // the last whole file that the reader has seen
			for _, b := range blocks {
				switch b.info {
				case "toml":
					file = inFile(t, named.Replace(b.text))
					if got := anyport(t, "check", "-c", file); got.status != 0 {
						t.Errorf("%s\nis refused: %s", b.text, got.stderr)
					}
				case "toml fragment":
					if err := toml.Unmarshal([]byte(b.text), &map[string]any{}); err != nil {
						t.Errorf("%s\nis not TOML: %v", b.text, err)
					}
				case "sh", "sh steps", "console":
					for _, line := range typedLines(b) {
						tryLine(t, line, file)
					}
				case "bash", "sh announce":
					checkSyntax(t, b.text)
				}
			}
			for _, line := range inlineCommands(t, name) {
				tryLine(t, line, "")
			}
		})
	}
}

// writeNamedFiles writes those files with secrets and certificates that documents name and check reads, and returns
// what replaces their names.
func writeNamedFiles(t *testing.T) *strings.Replacer {
	t.Helper()
	credentials := inFile(t, "edges:secret\n")
	if err := os.Chmod(credentials, 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"/etc/anyport/knock.keys", writeKeys(t, os.Geteuid()),
		"/etc/anyport/fleet.key", newPeerKey(t),
		"/etc/anyport/etcd-ca.pem", newAuthority(t).file,
		"/etc/anyport/etcd.user", credentials, "/etc/anyport/source.token", credentials,
	)
}

// typedLines returns the lines of a block that a reader types, without prompts.
func typedLines(b block) (all []string) {
	for line := range strings.Lines(b.text) {
		typed := strings.HasPrefix(b.info, "sh")
		for _, prompt := range []string{"# ", "$ "} {
			if rest, ok := strings.CutPrefix(line, prompt); ok && b.info == "console" {
				line, typed = rest, true
			}
		}
		if line = strings.TrimSpace(line); typed && line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

var inlineCode = regexp.MustCompile("(?:^|[^`])`((?:anyport [a-z]|sysctl -w)[^`]*)`")

// inlineCommands returns the commands that the text of a document names, outside of its blocks.
func inlineCommands(t *testing.T, name string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range inlineCode.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
		if command := strings.Join(strings.Fields(m[1]), " "); command != "anyport stop" { // there is none, as the text says
			all = append(all, command)
		}
	}
	return all
}

// TestClassic follows the README: one listener on four ports of a loopback address, with ncat as the origin, by the
// README's own file and commands. They wait for each other's end and for no time: ncat drops an answer of its program
// that comes after the end of what it reads.
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
	client := regexp.MustCompile("`([^`]+ncat [^`]*127.7.7.7) 777`").FindSubmatch(readme)
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
