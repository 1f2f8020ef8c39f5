package config

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"anyport/config/position"
)

// Load reads and validates the file at path. That may be a pipe, for `check -c /dev/stdin`; Load
// waits for its end. If the file could be read but has mistakes, the error is a [Problems].
func Load(path string) (*Config, error) {
	text, err := ReadAny(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse is Load for a text, such as one that [Read] has read; path is only its name in errors. A
// large file is read in parts first, which takes far less memory. If that fails, for
// whatever reason, it is read whole: only that finds all problems.
func Parse(path string, data []byte) (*Config, error) {
	return parseText(path, data, nil)
}

// parseText reads a file, or with a host the text of a table from its source.
func parseText(path string, data []byte, host *Config) (*Config, error) {
	source := position.NewDocument(strings.TrimPrefix(string(data), "\ufeff"))
	if len(source.Text) > readWhole {
		if cfg, ok := parseInParts(path, source, routesAPart, host); ok {
			return cfg, nil
		}
	}
	return parseWhole(path, source, host)
}

// parseWhole is Parse for any file, with all its faults.
func parseWhole(path string, source position.Document, host *Config) (*Config, error) {
	values, repaired, problems := decode(path, source)
	if values == nil {
		return nil, problems
	}
	rep := newReport(path, source, repaired.Scan())
	rep.problems, rep.spans = problems, make([]position.Span, len(problems))
	rep.schema = fileSchema
	root := newTable(rep, "", "", "", "", values)
	root.translate()
	cfg := readConfig(root, host)
	cfg.Path, cfg.text = path, source.Text
	rep.mergeFixes()
	if err := rep.err(); err != nil {
		return nil, err
	}
	rep.notes.sort()
	cfg.Notes = rep.notes
	return cfg, nil
}

// printable keeps a problem on its line: what the parser quotes of the file may hold
// the end of one, or what a terminal obeys.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// readConfig reads all tables of a file. Sections come before routes, which inherit from them.
func readConfig(root *table, host *Config) *Config {
	cfg := readSections(root, host)
	routes := root.openRoutes()
	cfg.Routes = readRoutes(routes, cfg.defaults)
	checkTogether(root.report, cfg)
	root.reportUnknown()
	if len(routes.values) == 0 && (host != nil || !cfg.FromSource()) {
		root.require("route", "write a [route.NAME] table for each service, or nothing is served")
	}
	return cfg
}

// checkTogether checks what routes and the other tables need of each other.
func checkTogether(rep *report, cfg *Config) {
	checkEgressWorkers(rep, cfg)
	checkTransparentRoutes(rep, cfg)
	checkDoorbell(rep, cfg)
	checkFleet(rep, cfg)
}

// readSections reads all tables but the routes.
func readSections(root *table, host *Config) *Config {
	if host != nil {
		return readTableSections(root, host)
	}
	cfg := &Config{
		Listen:   listenSection.read(root),
		Steering: steeringSection.read(root),
		Admin:    adminSection.read(root),
		Log:      logSection.read(root),
		Fleet:    fleetSection.read(root),
		Knock:    knockSection.read(root),
		Announce: announceSection.read(root),
	}
	root.report.allowLoopback = cfg.Steering.AllowLoopback
	root.report.healths = readHealths(root)
	cfg.defaults = defaultsSection.read(root)
	return cfg
}

// readRoutes reads the [route.NAME] tables, in the order of the file.
func readRoutes(t *table, defaults Timeouts) []*Route {
	routes, valid := readTables(t, defaults)
	byLine := func(a, b *Route) int { return cmp.Compare(a.Line, b.Line) }
	slices.SortStableFunc(routes, byLine)
	slices.SortStableFunc(valid, byLine)
	checkConflicts(t.report, valid)
	return routes
}

// readTables reads the [route.NAME] tables. Those are valid whose keys that decide which ports
// they take had no problem.
func readTables(t *table, defaults Timeouts) (routes, valid []*Route) {
	for _, name := range slices.Sorted(maps.Keys(t.values)) {
		sub := t.open(name)
		if sub.values == nil {
			continue
		}
		sub.section, sub.route, sub.label = "route", name, ""
		t.report.tables[name] = sub
		sub.translate()
		r := readRoute(sub, defaults)
		routes = append(routes, r)
		if sub.valid("protocol", "ports", "except_ports", "action") {
			valid = append(valid, r)
		}
	}
	return routes, valid
}

// readRoute reads one [route.NAME] table; conflicts between routes are checked later.
func readRoute(t *table, defaults Timeouts) *Route {
	r := routeSection.defaults
	r.Name, r.Line, r.Timeouts = t.route, t.report.lineOf(t.path), defaults
	routeSection.readInto(t, &r)
	t.reportUnknown()
	checkRoute(t, &r)
	return &r
}
