package habits

import (
	"regexp"
	"strings"
)

var humps = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// Snake is a key as this file's are written: max_conns for maxConns, Max-Conns, MAX CONNS.
func Snake(key string) string {
	key = strings.ToLower(humps.ReplaceAllString(key, "${1}_$2"))
	return strings.NewReplacer("-", "_", " ", "_", ".", "_").Replace(key)
}

var notInName = regexp.MustCompile(`[^a-z0-9_]+`)

// Slug is a route's name made of any words; "" if they make none.
func Slug(words string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(words), "-"), "-")
	if len(name) > longestName {
		return ""
	}
	return name
}

const longestName = 64 // of a route, in bytes
