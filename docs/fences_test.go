package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kinds are what a fenced block may hold. A test parses or runs each of them, except for text.
var kinds = []string{
	"text",
	"toml", "toml fragment", "sh", "console", "sh setup", "sh steps", "sh frr", // integration
	"conf nginx", "conf haproxy", "conf postfix", "conf unbound", "conf bird", "conf bird import", "conf frr", "conf unit", "conf sysctl", "conf drop-in", "ini", // integration
	"python", "bash", // integration: they knock
	"conf logrotate", "yaml prometheus", "yaml collector", "promql", // here
}

// fencesOf returns what is wrong with the fences of a document: the tests find only those that begin a
// line, say what they hold, and end.
func fencesOf(text string) (faults []string) {
	open := ""
	for line := range strings.Lines(text) {
		kind, ok := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case !ok:
			continue
		case !strings.HasPrefix(line, "```"):
			faults = append(faults, "an indented fence: "+line)
		case open != "" && kind != "":
			faults = append(faults, "a fence within "+open+": "+line)
		case open == "" && !slices.Contains(kinds, kind):
			faults = append(faults, "nothing tests a fence of the kind "+line)
		}
		if open != "" {
			open = ""
		} else {
			open = line
		}
	}
	if open != "" {
		faults = append(faults, "a fence does not end: "+open)
	}
	return faults
}

func TestFences(t *testing.T) {
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range fencesOf(string(text)) {
			t.Errorf("%s: %s", path, fault)
		}
	}
	for _, wrong := range []string{"- x\n  ```sh\n  y\n  ```\n", "```\nx\n```\n", "```shh\nx\n```\n", "```sh\nx\n", "```sh\nx\n```sh\ny\n```\n"} {
		if len(fencesOf(wrong)) == 0 {
			t.Errorf("%q passes", wrong)
		}
	}
}

// TestLogrotateBlock: the page shows the file that is shipped.
func TestLogrotateBlock(t *testing.T) {
	page, err := os.ReadFile("how-to/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile(filepath.Join(root, "deploy/logrotate/anyport"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```conf logrotate\n")
	block, _, _ = strings.Cut(block, "```\n")
	if block == "" || !strings.HasSuffix(string(shipped), "\n\n"+block) {
		t.Errorf("the page has\n%s\nand deploy/logrotate/anyport is\n%s", block, shipped)
	}
}
