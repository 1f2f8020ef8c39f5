package nginx

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
)

// includer puts the directives of other files in place of include, where anyport reads. It leaves http
// alone, whose files may be many, and may not be there.
type includer struct {
	options proxyconf.Options
	folder  string   // of the first file: nginx takes paths relative to it
	open    []string // the files that are being read, to find those that include themselves
	faults  []error
}

// mostIncludes bounds files that include each other.
const mostIncludes = 32

// expand replaces the include directives of a list, and of those blocks that are read.
func (in *includer) expand(list []*directive) []*directive {
	var out []*directive
	for _, d := range list {
		switch {
		case d.name == "include" && len(d.args) == 1:
			out = append(append(out, d), in.include(d)...)
			continue
		case d.name == "stream" || d.name == "upstream" || d.name == "server" || d.name == "map" || d.name == "geo":
			d.block = in.expand(d.block)
		}
		out = append(out, d)
	}
	return out
}

// include reads the files that a pattern matches. A pattern may match none; a name must be there.
func (in *includer) include(d *directive) []*directive {
	pattern := d.arg(0)
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(in.folder, pattern)
	}
	paths := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") && in.options.Glob != nil {
		var err error
		if paths, err = in.options.Glob(pattern); err != nil {
			in.fault(d, err)
		}
	}
	var all []*directive
	for _, path := range paths {
		list, err := in.file(path)
		if err != nil {
			in.fault(d, err)
		}
		all = append(all, list...)
	}
	if len(all) > 0 {
		d.Became("the directives of the file")
	}
	d.Otherwise = "no file matches, or it is empty"
	return all
}

// file reads one file, with what it includes.
func (in *includer) file(path string) ([]*directive, error) {
	if in.options.ReadFile == nil {
		return nil, errors.New("files are not read here")
	}
	for _, outer := range in.open {
		if outer == path || len(in.open) > mostIncludes {
			return nil, fmt.Errorf("%s includes itself", path)
		}
	}
	text, err := in.options.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: run anyport import where nginx runs, or remove the include", err)
	}
	list, err := parse(path, string(text))
	if err != nil {
		return nil, err
	}
	in.open = append(in.open, path)
	defer func() { in.open = in.open[:len(in.open)-1] }()
	return in.expand(list), nil
}

func (in *includer) fault(d *directive, err error) {
	in.faults = append(in.faults, fmt.Errorf("%s: include %s: %w", d.Place(), d.arg(0), err))
}
