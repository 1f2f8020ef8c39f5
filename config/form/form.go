// Package form has regular expressions that are compiled when they are first used. A start and each command would
// otherwise compile all of them, and use few.
package form

import (
	"regexp"
	"sync"
)

// texts are those of all forms, for a test: a wrong one would be found by its first use only.
var texts []string

// New returns what compiles text once. It is for variables of packages, as regexp.MustCompile is.
func New(text string) func() *regexp.Regexp {
	texts = append(texts, text)
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// Texts are those that New was called with so far.
func Texts() []string { return texts }
