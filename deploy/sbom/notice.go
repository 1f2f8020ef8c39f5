package main

import (
	"fmt"
	"strings"
)

const noticeHead = `anyport is licensed under the Apache License 2.0; see LICENSE. Its binary contains the following
modules, each under its own licence. "std" is the library of Go.
`

// noticeOf is what has to be passed on with the program. It has no versions, so that it changes
// only with what is linked. Modules with the same licence text share
// it; the Apache License is in LICENSE, or in /usr/share/common-licenses.
func noticeOf(parts []part) string {
	var b strings.Builder
	b.WriteString(noticeHead)
	named := map[string][]string{}
	var texts []string
	for _, p := range parts {
		text := p.text
		if p.license == "Apache-2.0" {
			text = "Apache License 2.0: see LICENSE, or /usr/share/common-licenses/Apache-2.0 on Debian.\n"
		}
		if p.notice != "" {
			text += "\n" + p.notice
		}
		if named[text] == nil {
			texts = append(texts, text)
		}
		named[text] = append(named[text], p.path+" ("+p.license+")")
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s", strings.Repeat("=", 80), strings.Join(named[text], "\n"), text)
	}
	return b.String()
}
