package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksLeadSomewhere follows the links between the documents, and to headings.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, path := range documents(t) {
		for _, l := range prose(t, path) {
			for _, m := range link.FindAllStringSubmatch(l.text, -1) {
				if strings.Contains(m[1], "://") {
					continue
				}
				file, heading, _ := strings.Cut(m[1], "#")
				if file = filepath.Join(filepath.Dir(path), file); strings.HasPrefix(m[1], "#") {
					file = path
				}
				if _, err := os.Stat(file); err != nil {
					t.Errorf("%s:%d: %v", path, l.number, err)
				} else if heading != "" && !hasHeading(t, file, heading) {
					t.Errorf("%s:%d: %s has no heading #%s", path, l.number, file, heading)
				}
			}
		}
	}
}

// TestIndex: README.md of this directory has each page of it, and each file of its parts.
func TestIndex(t *testing.T) {
	listed := map[string]bool{"README.md": true}
	for _, l := range prose(t, "README.md") {
		for _, m := range link.FindAllStringSubmatch(l.text, -1) {
			listed[m[1]] = true
		}
	}
	for _, path := range documents(t) {
		if !listed[path] && !strings.HasPrefix(path, root) {
			t.Errorf("README.md does not list %s", path)
		}
	}
}

var (
	pageName = regexp.MustCompile(`\bdocs/([A-Za-z/-]+\.md)`)
	quoted   = regexp.MustCompile(`"([A-Z][^"\n]+)" in docs/([A-Za-z/-]+\.md)`)
)

// TestHeadingsInMessages: where a message of the program names a document, it exists, and
// has the heading that the message names.
func TestHeadingsInMessages(t *testing.T) {
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || filepath.Base(filepath.Dir(path)) == "docs" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range pageName.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s names a document that does not exist: %v", path, err)
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			found++
			if !hasHeading(t, m[2], anchorOf(m[1])) {
				t.Errorf("%s: %s has no heading %q", path, m[2], m[1])
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d messages name a heading, %v", found, err)
	}
}

// hasHeading reports whether a heading of a document has that anchor, as GitHub makes them.
func hasHeading(t *testing.T, path, anchor string) bool {
	t.Helper()
	for _, l := range prose(t, path) {
		if strings.HasPrefix(l.text, "#") && anchorOf(strings.TrimLeft(l.text, "# ")) == anchor {
			return true
		}
	}
	return false
}

var notInAnchor = regexp.MustCompile(`[^\pL\pN _-]`)

func anchorOf(heading string) string {
	return strings.ReplaceAll(strings.ToLower(notInAnchor.ReplaceAllString(heading, "")), " ", "-")
}
