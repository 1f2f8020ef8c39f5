package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository.
const root = ".."

// line is one line of a document.
type line struct {
	number int // from 1
	text   string
}

// documents are the paths of all documents, from here.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.md")
	below, belowErr := filepath.Glob("*/*.md")
	if err != nil || belowErr != nil || len(files) == 0 || len(below) == 0 {
		t.Fatalf("no documents: %v, %v", err, belowErr)
	}
	return append(append(files, below...), filepath.Join(root, "README.md"))
}

// prose returns the lines of a document outside of fenced blocks.
func prose(t *testing.T, path string) (lines []line) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fenced := false
	for i, text := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(strings.TrimSpace(text), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			lines = append(lines, line{i + 1, text})
		}
	}
	return lines
}

// isRow reports whether a line belongs to a table, which Markdown cannot wrap.
func (l line) isRow() bool { return strings.HasPrefix(l.text, "|") }

// cells returns the cells of a row of a table.
func (l line) cells() (cells []string) {
	for _, cell := range strings.Split(strings.Trim(l.text, "|"), "|") {
		cells = append(cells, strings.Trim(cell, " `"))
	}
	return cells
}
