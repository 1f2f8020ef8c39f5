package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"anyport/deploy/spdx"
)

// A part is a module that is linked into the program, or Go's own library.
type part struct {
	path, version string
	sum           string // of go.sum; "" for Go's own library
	license       string // as SPDX names it
	text          string // the licence as the module has it
	notice        string // what its authors want to be passed on; "" for most
}

// partsOf finds the licence of everything that is linked, with Go's own library first.
func partsOf(info *debug.BuildInfo) ([]part, error) {
	goroot, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	parts := []part{{path: "std", version: info.GoVersion}}
	dirs := []string{goroot}
	for _, module := range info.Deps { // what is linked, not all of go.mod
		if module.Replace != nil {
			module = module.Replace
		}
		dir, err := output("go", "list", "-m", "-f", "{{.Dir}}", module.Path)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{path: module.Path, version: module.Version, sum: module.Sum})
		dirs = append(dirs, dir)
	}
	for i := range parts {
		if err := parts[i].read(dirs[i]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", parts[i].path, parts[i].version, err)
		}
	}
	return parts, nil
}

// output is the line that a command prints.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// The names that authors give to these files.
var (
	licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)(\.txt|\.md)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^notice(\.txt|\.md)?$`)
)

// alternative begins what libcap/psx offers beside BSD-3-Clause, the GPL: the former is taken.
const alternative = "-------------------------------------------------------------------------\nGPL v2.0:"

// read reads the licence and the notice in the module's directory.
func (p *part) read(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	text := func(name *regexp.Regexp) string {
		// A module with several such files would need a closer look; none has.
		at := slices.IndexFunc(entries, func(e os.DirEntry) bool { return name.MatchString(e.Name()) })
		if at < 0 || err != nil {
			return ""
		}
		var content []byte
		content, err = os.ReadFile(filepath.Join(dir, entries[at].Name()))
		return string(bytes.TrimSpace(content)) + "\n"
	}
	p.text, p.notice = text(licenseFile), text(noticeFile)
	if err != nil {
		return err
	}
	p.text, _, _ = strings.Cut(p.text, alternative)
	p.license, err = spdx.Identify(p.text)
	return err
}
