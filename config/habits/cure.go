package habits

import (
	"fmt"
	"strings"

	"anyport/config/form"
)

// A Cure is the search for what a user meant by a value that was refused. It is used once.
type Cure struct {
	Key    string // "ports[1]"
	Want   string // what the value should have been: "Port", "Duration", …
	Value  any    // as the TOML library has it; a list is an []any
	Source string // the value as the file has it
	Slot   Slot
	Accept func(any) bool // reports whether the key takes a value
}

// Find returns what to write in place of the value, if that is known, and the words
// that say so; or words alone.
func (c Cure) Find() (fix, say string) {
	if _, isTable := c.Value.(map[string]any); isTable && c.Source != "" {
		fix := c.fitInto(c.Source)
		return fix, Advice(fix, "")
	}
	found, ok := c.found()
	if !ok {
		return "", ""
	}
	if _, isList := c.Value.([]any); isList {
		if fix := c.fitInto(toTOML(found)); fix != "" {
			return fix, Advice(fix, "")
		}
	}
	key, _, _ := strings.Cut(c.Key, "[")
	for _, in := range []string{"value", key, c.Want} {
		for _, h := range Of(in) {
			match := h.Match(found)
			if match == nil {
				continue
			}
			say := h.Say(match)
			if h.write == nil {
				return "", say
			}
			if fix := c.fitInto(h.Write(match)); fix != "" {
				return fix, Advice(fix, say)
			}
		}
	}
	for _, guess := range guesses(found) {
		if fix := c.fitInto(guess); fix != "" {
			return fix, Advice(fix, "")
		}
	}
	return "", ""
}

// fitInto is fitInto for the place of c.
func (c Cure) fitInto(values string) string { return fitInto(values, c.Slot, c.Accept) }

// Advice is the sentence for a fix: "write FIX, SAY"; "" without a fix. Messages and tests rely on
// the word "write" before it.
func Advice(fix, say string) string {
	if fix == "" {
		return ""
	}
	if say != "" {
		say = ", " + say
	}
	return "write " + fix + say
}

// found is the value as its writer saw it, without quotes. A list in the place of one
// value is its only element.
func (c Cure) found() (string, bool) {
	value := c.Value
	if list, ok := value.([]any); ok && len(list) == 1 {
		value = list[0]
	}
	switch v := value.(type) {
	case string:
		return v, len(v) < 1024
	case int64, float64, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// What stands between the elements of a list that is written as one string; a slash may
// be part of them.
var (
	separators = form.New(`[,;|+&\s]+`)
	slashes    = form.New(`[,;|+&/\s]+`)
)

// guesses are what may be meant by a value of any kind: without blanks around it, in
// lower case, with underscores or dashes, with quotes or without, as a list.
func guesses(found string) []string {
	word := strings.Trim(found, " \t\"'`“”„‘’")
	lower := strings.ToLower(word)
	parts, words := listOf(separators().Split(word, -1)), listOf(slashes().Split(lower, -1))
	return []string{
		Quote(word), strings.ReplaceAll(word, ",", "_"), Quote(lower),
		Quote(strings.ReplaceAll(lower, "-", "_")), Quote(strings.ReplaceAll(lower, "_", "-")),
		parts, strings.ToLower(parts), words,
	}
}

// listOf is the inside of a TOML list.
func listOf(parts []string) string {
	for i, part := range parts {
		parts[i] = toTOML(strings.Trim(strings.TrimSpace(part), `"'`))
	}
	return strings.Join(parts, ", ")
}

// Quote is a string as TOML writes it; it holds nothing that would end it.
func Quote(s string) string { return `"` + strings.NewReplacer(`"`, "", `\`, `\\`).Replace(s) + `"` }
