package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/goldentest"
	"anyport/deploy/spdx"
)

const noticeHead = `anyport is free software under the Apache License, version 2.0: see LICENSE.

The binary contains the Go modules of this list, and parts of Go itself, under licences of their own.
Their texts follow. The BPF programs of anyport in it may be used under the GNU General Public License,
version 2, or under the 2-clause BSD license. A test makes this file from what is linked (TestNotice of cmd/anyport).

`

// TestNotice: deploy/NOTICE has the licence of each module that is linked. -update writes it.
func TestNotice(t *testing.T) {
	modules := linkedModules(t)
	var list strings.Builder
	texts := map[string][]string{} // text → modules
	for _, module := range slices.Sorted(maps.Keys(modules)) {
		text := licenceOf(t, modules[module])
		name, err := spdx.Identify(text)
		if err != nil {
			t.Errorf("%s: %v:\n%.500s", module, err, text)
		}
		fmt.Fprintf(&list, "%-66s %s\n", module, name)
		texts[text] = append(texts[text], module)
	}
	page := noticeHead + list.String()
	for _, text := range slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return strings.Compare(texts[a][0], texts[b][0]) }) {
		page += "\n" + strings.Repeat("=", 80) + "\n" + strings.Join(texts[text], "\n") + "\n" + strings.Repeat("-", 80) + "\n" + text
	}
	goldentest.Compare(t, filepath.Join("..", "..", "deploy", "NOTICE"), page)
}

// linkedModules returns the directories of the modules that the binary is built from on each platform,
// and that of Go.
func linkedModules(t *testing.T) map[string]string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]string{"Go and its standard library": strings.TrimSpace(string(root))}
	for _, arch := range []string{"amd64", "arm64"} {
		list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", ".")
		list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0") // as it is built
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if module, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				modules[module] = dir
			}
		}
	}
	return modules
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)(\.txt|\.md)?$`)

// licenceOf returns the texts that a module wants to be passed on: its licence, and its notice.
func licenceOf(t *testing.T, dir string) (text string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !licenceFile.MatchString(e.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text += strings.TrimSpace(strings.ReplaceAll(string(content), "\r", "")) + "\n\n"
	}
	return text
}
