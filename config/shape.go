package config

import (
	"maps"
	"strings"
)

// A shape is what a JSON schema (draft 7) says of a value. It may accept what the parser refuses, for
// a schema has no arithmetic, but it never refuses what the parser accepts. Patterns are written in
// what ECMA 262 and Go's regexp have in common: editors use the one, the tests the other.
type shape map[string]any

// pattern is a string that matches expr as a whole.
func pattern(expr string) shape {
	return shape{"type": "string", "pattern": "^(" + expr + ")$"}
}

// between is an integer in a range.
func between[N int | Size](least, most N) shape {
	return shape{"type": "integer", "minimum": least, "maximum": most}
}

// enum is one of words.
func enum(words ...string) shape { return shape{"type": "string", "enum": words} }

// either is one of two shapes.
func either(a, b shape) shape { return shape{"anyOf": []shape{a, b}} }

// listOf is a list of different values: what is equal in the file is equal to the parser.
func listOf(element shape) shape {
	return shape{"type": "array", "items": element, "uniqueItems": true}
}

// with is s with another keyword.
func (s shape) with(keyword string, value any) shape {
	more := maps.Clone(s)
	more[keyword] = value
	return more
}

// ref is the shape of that name under "definitions".
func ref(name string) shape { return shape{"$ref": "#/definitions/" + name} }

// The shapes of strings that several kinds share. line is what text accepts.
const (
	line         = `[^\x00-\x1f]*`
	durationForm = `[-+]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)`
	bytesForm    = `[0-9]{1,18}(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)`
	addressForm  = `[0-9A-Fa-f:.]+`
	portsForm    = `[0-9]+(-[0-9]+)?`
	prefixForm   = addressForm + `(/[0-9]+)?`
	nameChars    = `[A-Za-z0-9_.-]+`
)

// originShape is the string form of an origin.
var originShape = pattern(strings.Join([]string{
	`srv:_` + nameChars,
	`\[` + addressForm + `\](:` + portsForm + `)?`,
	addressForm,
	nameChars + `(:` + portsForm + `)?`,
}, "|"))
