package docs

import (
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
