package config

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// A cure is the search for what was meant by a value that was refused.
type cure struct {
	key    string // "ports[1]"
	want   string // as in mistake
	value  any
	source string // the value as the file has it
	where  slot
	accept func(any) bool
}

// find returns what to write in place of the value, if that is known, and the words
// that say so; or words alone.
func (c cure) find() (fix, say string) {
	if _, isTable := c.value.(map[string]any); isTable && c.source != "" {
		fix := c.framed(c.source)
		return fix, told(fix, "")
	}
	found, ok := c.found()
	if !ok {
		return "", ""
	}
	if _, isList := elements(c.value); isList {
		if fix := c.framed(toTOML(found)); fix != "" {
			return fix, told(fix, "")
		}
	}
	key, _, _ := strings.Cut(c.key, "[")
	for _, in := range []string{"value", key, c.want} {
		for _, h := range habitsOf(in) {
			match := h.match(found)
			if match == nil {
				continue
			}
			say := as(h.say)(match)
			if h.write == nil {
				return "", say
			}
			if fix := c.framed(h.write(match)); fix != "" {
				return fix, told(fix, say)
			}
		}
	}
	for _, guess := range guesses(found) {
		if fix := c.framed(guess); fix != "" {
			return fix, told(fix, "")
		}
	}
	return "", ""
}

func (c cure) framed(values string) string { return framed(values, c.where, c.accept) }

// told are the words for a fix, if there is one.
func told(fix, say string) string {
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
func (c cure) found() (string, bool) {
	value := c.value
	if list, ok := elements(value); ok && len(list) == 1 {
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
	separators = regexp.MustCompile(`[,;|+&\s]+`)
	slashes    = regexp.MustCompile(`[,;|+&/\s]+`)
)

// guesses are what may be meant by a value of any kind: without blanks around it, in
// lower case, with underscores or dashes, with quotes or without, as a list.
func guesses(found string) []string {
	word := strings.Trim(found, " \t\"'`“”„‘’")
	lower := strings.ToLower(word)
	parts, words := listOf(separators.Split(word, -1)), listOf(slashes.Split(lower, -1))
	return []string{
		quote(word), strings.ReplaceAll(word, ",", "_"), quote(lower),
		quote(strings.ReplaceAll(lower, "-", "_")), quote(strings.ReplaceAll(lower, "_", "-")),
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

// quote is a string as TOML writes it; it holds nothing that would end it.
func quote(s string) string { return `"` + strings.NewReplacer(`"`, "", `\`, `\\`).Replace(s) + `"` }

// habitsOf are the habits about one kind of place, as the table has them in order.
func habitsOf(in string) []habit { return habitsByPlace()[in] }

var habitsByPlace = sync.OnceValue(func() map[string][]habit {
	all := map[string][]habit{}
	for _, h := range habits {
		h.form = regexp.MustCompile(`(?i)^(?:` + h.found + `)$`)
		for _, in := range strings.Fields(strings.ReplaceAll(h.in, " key", "-key")) {
			all[in] = append(all[in], h)
		}
	}
	return all
})

// match returns what the habit's form finds: all of it, and its groups.
func (h habit) match(found string) []string { return h.form.FindStringSubmatch(found) }

// as makes a habit's write of a template: "$1" is the form's first group.
func as(template string) func([]string) string {
	return func(match []string) string {
		out := template
		for i := len(match) - 1; i >= 0; i-- {
			out = strings.ReplaceAll(out, fmt.Sprintf("$%d", i), match[i])
		}
		return out
	}
}
