package manual

import (
	"anyport/config"
)

// File is anyport.toml(5): the tables and keys of the configuration file.
func File(version string) string {
	p := begin("anyport.toml", "5", version, "configuration of anyport")
	p.section("SYNOPSIS")
	p.WriteString(escape(config.DefaultPath) + "\n")
	p.section("DESCRIPTION")
	p.text(config.ReferenceHead())
	for _, table := range config.Reference() {
		p.section(table.Header)
		if table.Intro != "" {
			p.text(table.Intro)
		}
		for _, key := range table.Keys {
			if key.Above != "" {
				p.text(key.Above)
			}
			p.item(key.Line, key.Doc)
		}
	}
	p.section("SEE ALSO")
	p.WriteString(".BR anyport (8)\n")
	return p.String()
}
