package config

import (
	"strings"

	"anyport/config/form"
	"anyport/config/habits"
	"anyport/config/position"
)

// smallest is shown to users who bring a file in another language.
const smallest = `[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]   # the addresses that are routed to this host
origins  = ["10.0.0.5"]       # where to; the client's port is kept
`

// foreign reports a file that is not meant to be TOML. A message about its first syntax error
// would not help: such a file has one on every line.
func (r *report) foreign() bool {
	source := r.text.Text
	if strings.HasPrefix(source, "\xff\xfe") || strings.HasPrefix(source, "\xfe\xff") || strings.IndexByte(source[:min(len(source), 6)], 0) >= 0 {
		r.addAt(position.Between(0, 1), "", "", "not TOML: the file is UTF-16 or binary: save it as UTF-8")
		return true
	}
	if header().MatchString(source) {
		return false
	}
	language, start, end := habits.Language(source)
	if language == "" {
		return false
	}
	p := r.addAt(position.Between(start, max(end, start+1)), "", "", "not TOML: this looks like a "+language+
		", and anyport reads TOML: write a [route.NAME] table for each service")
	p.Example = "# the smallest file\n" + smallest
	return true
}

// header is a line that no other language has so: whoever wrote it meant TOML.
var header = form.New(`(?m)^[ \t]*\[+[A-Za-z_][A-Za-z0-9_."' -]*\]`)
