package config

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"anyport/config/form"
	"anyport/config/position"
)

// A file with a route for each of 60,000 ports takes half a GiB when it is decoded whole:
// the library keeps a description of every key, and the report the place of each. So a large
// file is read part by part. This works only for files in the usual form and without any
// problem; every other file is read whole, which finds what is wrong. TestPartsAgree compares
// the two ways.

// readWhole is the size up to which a file is read whole at once.
const readWhole = 1 << 20

// routesAPart is how many routes are decoded together.
const routesAPart = 512

// parts are a file cut at headers of routes: the tables before the first route, and runs of
// whole [route.NAME] tables.
type parts struct {
	head    string
	routes  []string
	headers map[string]int32 // offset of each route's header, by the path of its table
}

// usualHeader is the header of a route, or of a table in a route, alone on its line, which may end with a comment.
var usualHeader = form.New(`^\[route\.([a-z0-9_-]+)(\.[a-z0-9_-]+)?\][ \t]*(?:#.*)?\r?$`)

// cutInParts cuts text into parts of some routes each, if it is in the usual form: all routes
// come after everything else, each in one piece under a header of its own, and there is no
// string of several lines, in which something may look like a header. A bracket that opens a
// line within a list also looks like one: such a text is not cut, or the library refuses the
// part that ends there.
func cutInParts(text string, routes int) (p parts, ok bool) {
	if strings.Contains(text, `"""`) || strings.Contains(text, `'''`) {
		return p, false
	}
	p = parts{head: text, headers: map[string]int32{}}
	begin, last := 0, "" // of the part; the route of the header before
	for offset := 0; offset < len(text); {
		line, _, _ := strings.Cut(text[offset:], "\n")
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "[") && (last != "" || strings.HasPrefix(line, "[route")) {
			match := usualHeader().FindStringSubmatch(line)
			if match == nil || match[2] != "" && match[1] != last {
				return p, false
			}
			if match[2] == "" {
				path := position.Join("route", match[1])
				if _, twice := p.headers[path]; twice {
					return p, false
				}
				if len(p.headers)%routes == 0 {
					p.cut(text, begin, offset)
					begin = offset
				}
				p.headers[path], last = int32(offset), match[1]
			}
		}
		offset += len(line) + 1
	}
	p.cut(text, begin, len(text))
	return p, last != ""
}

// cut ends the part that began at begin.
func (p *parts) cut(text string, begin, end int) {
	if len(p.headers) == 0 {
		p.head = text[:end]
		return
	}
	p.routes = append(p.routes, text[begin:end])
}

// parseInParts is Parse for a sound file in the usual form; not ok for any other.
func parseInParts(path string, source position.Document, routes int, host *Config) (cfg *Config, ok bool) {
	p, ok := cutInParts(source.Text, routes)
	if !ok {
		return nil, false
	}
	rep := newReport(path, source, nil)
	rep.at = sync.OnceValue(func() *position.Map { return position.Scan(source.Text) }) // only for notes
	rep.headers = p.headers
	rep.schema = fileSchema
	cfg, ok = readHead(rep, p.head, host)
	if !ok {
		return nil, false
	}
	for _, text := range p.routes {
		routes, ok := readPart(rep, text, cfg.defaults)
		if !ok {
			return nil, false
		}
		cfg.Routes = append(cfg.Routes, routes...)
	}
	slices.SortStableFunc(cfg.Routes, func(a, b *Route) int { return cmp.Compare(a.Line, b.Line) })
	checkConflicts(rep, cfg.Routes)
	checkTogether(rep, cfg)
	if len(rep.problems) > 0 {
		return nil, false
	}
	rep.notes.sort()
	cfg.Path, cfg.text, cfg.Notes = path, source.Text, rep.notes
	return cfg, true
}

// readHead reads the tables before the routes.
func readHead(rep *report, text string, host *Config) (cfg *Config, ok bool) {
	values := map[string]any{}
	if _, err := toml.Decode(text, &values); err != nil || values["route"] != nil {
		return nil, false
	}
	root := newTable(rep, "", "", "", "", values)
	root.translate()
	cfg = readSections(root, host)
	root.reportUnknown()
	return cfg, len(rep.problems) == 0
}

// readPart reads some routes.
func readPart(rep *report, text string, defaults Timeouts) ([]*Route, bool) {
	values := map[string]any{}
	if _, err := toml.Decode(text, &values); err != nil {
		return nil, false
	}
	root := newTable(rep, "", "", "", "", values)
	routes, _ := readTables(root.openRoutes(), defaults)
	clear(rep.tables)
	return routes, len(rep.problems) == 0
}
