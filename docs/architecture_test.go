package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const architecture = "ARCHITECTURE.md"

// walks are the headings of ARCHITECTURE.md with a table of functions, and how many a
// reader may have to open to follow one.
var walks = map[string]int{
	"Walk: a TCP conn":                               5,
	"A datagram that begins a flow":                  8,
	"A datagram of a live flow":                      4,
	"Walk: a packet from an origin to a client":      4,
	"Walk: a packet of a conn that another host has": 6,
	"A datagram of a flow that another host has":     7,
	"Walk: a reload":                                 6,
	"Walk: import of rules":                          8,
	"Walk: a name has other addresses":               6,
	"Walk: the hours of a route":                     5,
	"Walk: an upgrade":                               8,
}

// TestWalks: each function of these tables is in the file that stands beside it.
func TestWalks(t *testing.T) {
	found := tables(t, "stage", "function", "file")
	for heading, most := range walks {
		rows := found[heading]
		if len(rows) == 0 || len(rows) > most {
			t.Errorf("%s: %q has %d rows, want 1 to %d", architecture, heading, len(rows), most)
		}
		for _, row := range rows {
			function, file := row.cells()[1], row.cells()[2]
			if functions := functionsOf(t, filepath.Join(root, file)); !slices.Contains(functions, function) {
				t.Errorf("%s:%d: %s is not in %s, which has %s", architecture, row.number,
					function, file, strings.Join(functions, ", "))
			}
		}
	}
	for heading := range found {
		if _, ok := walks[heading]; !ok {
			t.Errorf("%s: how many rows may the table of %q have?", architecture, heading)
		}
	}
}

// tables returns the rows of the tables with these heads, by the heading above.
func tables(t *testing.T, heads ...string) map[string][]line {
	t.Helper()
	rows, heading, within := map[string][]line{}, "", false
	for _, l := range prose(t, architecture) {
		switch {
		case strings.HasPrefix(l.text, "#"):
			heading = strings.TrimLeft(l.text, "# ")
		case !l.isRow():
			within = false
		case slices.Equal(l.cells(), heads):
			within = true
		case within && !strings.HasPrefix(l.text, "|---"):
			rows[heading] = append(rows[heading], l)
		}
	}
	return rows
}

// functionsOf returns the functions of a Go file: a method as type.method.
func functionsOf(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			names = append(names, receiver(f)+f.Name.Name)
		}
	}
	return names
}

// receiver is the type that f is a method of, with a dot; "" of a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// TestPackages: the tables of packages have each of them, and no other. A directory may
// stand for those below it if its row says their names.
func TestPackages(t *testing.T) {
	listed := map[string]bool{}
	for _, row := range slices.Concat(slices.Collect(maps.Values(tables(t, "package", "what it is for")))...) {
		dir := row.cells()[0]
		listed[dir] = true
		for _, m := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(row.cells()[1], -1) {
			listed[filepath.Join(dir, m[1])] = true
		}
		if len(goFiles(t, filepath.Join(root, dir))) == 0 {
			t.Errorf("%s:%d: %s is not a package", architecture, row.number, dir)
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "build") {
			return fs.SkipDir
		}
		if dir, _ := filepath.Rel(root, path); len(goFiles(t, path)) > 0 && !listed[dir] {
			t.Errorf("%s: the table of packages lacks %s", architecture, dir)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var repositoryPath = regexp.MustCompile("`([a-z]+(?:/[a-z_]+)*(?:/[a-z_.]+\\.[a-z]+|/[a-z_]+))`")

// TestPaths: files and directories that ARCHITECTURE.md names are there.
func TestPaths(t *testing.T) {
	for _, l := range prose(t, architecture) {
		for _, m := range repositoryPath.FindAllStringSubmatch(l.text, -1) {
			if m[1] == "cilium/ebpf" { // a module
				continue
			}
			_, here := os.Stat(filepath.Join(root, m[1]))
			if below, _ := filepath.Glob(filepath.Join(root, "*", m[1])); here != nil && len(below) == 0 {
				t.Errorf("%s:%d: there is no %s", architecture, l.number, m[1])
			}
		}
	}
}
