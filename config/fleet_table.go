package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// sourceTable is a text that the source of [fleet] gave.
type sourceTable struct {
	name string // for problems
	text string
}

// tablesOfSource are the tables that the text of a source may have. All others are each host's own.
var tablesOfSource = []string{"defaults", "health", "route"}

// FromSource reports whether the routes come from the source of [fleet], and not from the file.
func (c *Config) FromSource() bool { return c.Fleet.Source != "" }

// TableText is the text of the table that the routes are from; "" if they are the file's, or if there are none.
func (c *Config) TableText() string {
	if c.table == nil {
		return ""
	}
	return c.table.text
}

// WithoutRoutes is c for a host whose source has not given it a table yet.
func (c *Config) WithoutRoutes() *Config {
	bare := *c
	bare.Routes, bare.table = nil, nil
	return &bare
}

// WithTable is the config of a host whose file is c, with the routes of a table of its source in place of its own.
// The table's [defaults] go before those of the file. name stands for a file's name in problems.
func (c *Config) WithTable(name string, data []byte) (*Config, error) {
	joint, err := parseText(name, data, c)
	if err != nil {
		if problems := (Problems)(nil); errors.As(err, &problems) {
			c.claim(problems)
		}
		return nil, err
	}
	joint.table = &sourceTable{name, joint.text}
	joint.Path, joint.text = c.Path, c.text
	joint.Notes = slices.Concat(c.Notes, joint.Notes)
	return joint, nil
}

// claim gives problems of the file's own keys, which a table has shown, their place in the file.
func (c *Config) claim(problems Problems) {
	locate(c.text, problems, func(p *Problem) bool {
		section, _, _ := strings.Cut(p.Key, ".")
		own := p.Route == "" && p.Column == 0 && slices.Contains(fileSchema.keys(""), section) && !slices.Contains(tablesOfSource, section)
		if own {
			p.File = c.Path
		}
		return own
	})
}

// readTableSections reads [defaults] and the checks of a table, and refuses what is each host's own.
func readTableSections(root *table, host *Config) *Config {
	for _, name := range slices.Sorted(maps.Keys(root.values)) {
		if slices.Contains(fileSchema.keys(""), name) && !slices.Contains(tablesOfSource, name) {
			root.faultKey(name, "each host has its own, in its file: a table for all hosts has only [defaults], [health.NAME] and [route.NAME]; remove it here")
		}
	}
	cfg := host.WithoutRoutes()
	cfg.Notes = nil
	root.report.ofSource = true
	root.report.allowLoopback = cfg.Steering.AllowLoopback
	root.report.healths = readHealths(root)
	defaultsSection.readInto(root.sub("defaults"), &cfg.defaults)
	return cfg
}
