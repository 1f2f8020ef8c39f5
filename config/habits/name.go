package habits

import (
	"strings"

	"anyport/config/form"
)

// humps are where camelCase words meet.
var humps = form.New(`([a-z0-9])([A-Z])`)

// Snake is a key as this file's are written: max_conns for maxConns, Max-Conns, MAX CONNS.
func Snake(key string) string {
	key = strings.ToLower(humps().ReplaceAllString(key, "${1}_$2"))
	return strings.NewReplacer("-", "_", " ", "_", ".", "_").Replace(key)
}

// notInName is what a route's name cannot have.
var notInName = form.New(`[^a-z0-9_]+`)

// Slug makes a valid route name of any words; "" if nothing in them can stand in a name, or if
// it would be too long.
func Slug(words string) string {
	name := strings.Trim(notInName().ReplaceAllString(strings.ToLower(words), "-"), "-")
	if len(name) > longestName {
		return ""
	}
	return name
}

// longestName is the bound of package config, which habits cannot import.
const longestName = 64 // of a route, in bytes
