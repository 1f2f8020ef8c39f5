package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"anyport/config/tokens"
)

// TableOfFile is the text that a push sends of c's file: the file without the tables that are each host's own.
func (c *Config) TableOfFile() (string, error) { return cutTables(c.text, tablesOfSource) }

// cutTables is a text with those top-level tables only. Comments stay with what follows them. The result is
// decoded and compared, so that a fault here cannot change what a table means.
func cutTables(text string, kept []string) (string, error) {
	var b strings.Builder
	keep, begun := true, false // of the table that the line is in; a header has come
	pending := ""              // comments and empty lines, until it is known whose they are
	for _, line := range logicalLines(strings.TrimPrefix(text, "\ufeff")) {
		name, header := opening(line)
		switch {
		case name == "":
			pending += line
			continue
		case header:
			keep, begun = slices.Contains(kept, name), true
		case !begun:
			keep = slices.Contains(kept, name)
		}
		if keep {
			b.WriteString(pending + line)
		}
		pending = ""
	}
	cut := strings.TrimLeft(b.String(), "\r\n")
	if !sameTables(text, cut, kept) {
		return "", errors.New("cannot tell this file's routes from its other tables: write each under a header of its own, such as [route.NAME]")
	}
	return cut, nil
}

// logicalLines are the lines of a text, with those together that one value spans.
func logicalLines(text string) (lines []string) {
	begin, at, depth := 0, 0, 0
	for token := range tokens.Of(text) {
		at += len(token.Text)
		switch {
		case token.Text == "[" || token.Text == "{":
			depth++
		case token.Text == "]" || token.Text == "}":
			depth--
		case token.Kind == tokens.Newline && depth <= 0:
			lines = append(lines, text[begin:at])
			begin, depth = at, 0
		}
	}
	if begin < len(text) {
		lines = append(lines, text[begin:]+"\n")
	}
	return lines
}

// opening is the first part of the key of a line, and whether the line is a header; "" of a line without a key.
func opening(line string) (name string, header bool) {
	for token := range tokens.Of(line) {
		switch {
		case token.Text == "[":
			header = true
		case token.Kind == tokens.String:
			return strings.Trim(token.Text, `"'`), header
		case token.Kind == tokens.Word:
			name, _, _ := strings.Cut(token.Text, ".")
			return name, header
		case token.Kind == tokens.Comment:
			return "", false
		}
	}
	return "", false
}

// sameTables reports whether cut has those tables of text, and no others.
func sameTables(text, cut string, kept []string) bool {
	var whole, some map[string]any
	if _, err := toml.Decode(strings.TrimPrefix(text, "\ufeff"), &whole); err != nil {
		return false
	}
	if _, err := toml.Decode(cut, &some); err != nil {
		return false
	}
	for name := range whole {
		if !slices.Contains(kept, name) {
			delete(whole, name)
		}
	}
	return len(whole) == 0 && len(some) == 0 || reflect.DeepEqual(whole, some)
}
