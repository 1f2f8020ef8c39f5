package config

import (
	"strconv"
	"strings"
)

// lines knows where the keys of a file stand: the TOML library keeps no position
// of a key that decoded well, and none at all of an array's elements.
type lines struct {
	keys     map[string]int     // of each key and table, by its path
	elements map[string][]int32 // of each array's elements, by the array's path
}

// at is the line of a path such as `route.ssh.origins[1].weight`, or of the
// nearest table or key around it that the file has; 0 if there is none.
func (l lines) at(path string) int {
	for path != "" {
		if line, ok := l.keys[path]; ok {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		i, err := strconv.Atoi(strings.Trim(path[cut:], "[]"))
		path = path[:cut]
		if elements := l.elements[path]; err == nil && i < len(elements) {
			return int(elements[i])
		}
	}
	return 0
}

// join appends key to path as TOML would write it, so that a dot in a quoted key
// separates nothing.
func join(path, key string) string {
	if key == "" || strings.ContainsFunc(key, func(c rune) bool { return c > 0x7f || !isBare(byte(c)) }) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
