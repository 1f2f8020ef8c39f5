package flow_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestImports: this package does no I/O, and package datagram knows no flows. Only package udp
// imports both.
func TestImports(t *testing.T) {
	for dir, forbidden := range map[string][]string{
		".":           {"net", "os", "syscall", "golang.org/x/sys/unix", "anyport/proxy/datagram", "anyport/proxy/udp"},
		"../datagram": {"anyport/config", "anyport/proxy/client", "anyport/proxy/flow", "anyport/proxy/route", "anyport/proxy/udp"},
	} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		check(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			check(t, err)
			for _, i := range file.Imports {
				if path, _ := strconv.Unquote(i.Path.Value); slices.Contains(forbidden, path) {
					t.Errorf("%s imports %s", name, path)
				}
			}
		}
	}
}
