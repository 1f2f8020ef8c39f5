package main

import (
	"fmt"
	"strings"
)

const copyrightHead = `Copyright: the authors of anyport
License: Apache-2.0, in /usr/share/common-licenses/Apache-2.0

The binary contains the following modules, each under its own licence. "std" is the library of Go.
`

// copyrightOf is Debian's copyright file, which must refer to the licences that every Debian has
// instead of repeating them. deploy/NOTICE has them all. Modules with the same text share it.
func copyrightOf(parts []part) string {
	var b strings.Builder
	b.WriteString(copyrightHead)
	named := map[string][]string{}
	var texts []string
	for _, p := range parts {
		text := p.text
		if p.license == "Apache-2.0" {
			text = "Apache License 2.0, in /usr/share/common-licenses/Apache-2.0\n"
		}
		if p.notice != "" {
			text += "\n" + p.notice
		}
		if named[text] == nil {
			texts = append(texts, text)
		}
		named[text] = append(named[text], p.path+" "+p.version+" ("+p.license+")")
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s", strings.Repeat("=", 80), strings.Join(named[text], "\n"), text)
	}
	return b.String()
}
