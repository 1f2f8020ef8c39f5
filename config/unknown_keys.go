package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"anyport/config/habits"
	"anyport/config/position"
)

// translate reports the keys of t that are unknown here but whose meaning is known, and moves
// their values to the key that is meant, so that mistakes in the values are reported in the
// same run. It runs before the keys are read; reportUnknown reports the rest after that.
func (t *table) translate() {
	known, unknown := t.splitKeys()
	for _, key := range unknown {
		meant, say := t.meaning(key, known)
		switch {
		case meant != "" && t.has(meant):
			t.reportKey(key, fmt.Sprintf("unknown key: it is called %s here, and %[1]s is already there: remove one", meant))
		case meant != "":
			t.rename(key, meant, say)
		case say != "":
			t.reportKey(key, "unknown key: "+say)
		}
	}
}

// rename has the value of key read as that of meant.
func (t *table) rename(key, meant, say string) {
	path, value := t.pathOf(position.Join("", key)), t.values[key]
	text := "unknown key: " + habits.Advice(meant, say)
	headers := t.headersBelow(path, value)
	for _, at := range headers {
		t.faultAt(at, position.Join("", key), text).Fix = meant
	}
	if len(headers) == 0 && !(meant == "route" && holdsTables(value)) { // which openRoutes tells
		t.faultKey(key, text).Fix = meant
	}
	delete(t.values, key)
	t.moved[meant], t.values[meant] = path, value
}

// headersBelow are the places where the name of a table stands in the headers of those
// below it: of [proxy.a] and [proxy.b], both need another word for proxy.
func (t *table) headersBelow(path string, value any) []position.Span {
	below, _ := value.(map[string]any)
	var all []position.Span
	for _, name := range slices.Sorted(maps.Keys(below)) {
		at, ok := t.report.at().At(position.Join(path, name))
		if ok && at.Value.Empty() && strings.HasPrefix(t.report.at().Source(at.Key), path+".") {
			all = append(all, position.Between(int(at.Key.Start), int(at.Key.Start)+len(path)))
		}
	}
	return all
}

// reportKey reports key, and removes it, so that it is not reported again.
func (t *table) reportKey(key, text string) {
	t.faultKey(key, text)
	delete(t.values, key)
}

// meaning is the key of t that key stands for, or what to do about it in words.
func (t *table) meaning(key string, known []string) (meant, say string) {
	word := habits.Snake(key)
	if slices.Contains(known, word) {
		return word, ""
	}
	if meant, say := habitOf(word, known, "any-key"); say != "" {
		return meant, say
	}
	if _, isTable := t.values[key].(map[string]any); t.section != "" || isTable || holdsTables(t.values[key]) {
		if meant, say := habitOf(word, known, t.section+"-key"); meant+say != "" {
			return meant, say
		}
	}
	if list := word + "s"; slices.Contains(known, list) { // such as key for keys, and [fleet] has a key
		return list, ""
	}
	if other := t.report.schema.headerOf(word, t.section); other != "" {
		return "", fmt.Sprintf("%s is a key of %s: move it there", word, other)
	}
	if meant, _ := habitOf(word, t.report.schema.keys("route"), "route-key"); meant != "" && t.section == "" {
		return "", fmt.Sprintf("write %s, in a [route.NAME]", meant)
	}
	return "", ""
}

// holdsTables reports whether value is a list of tables: [[key]].
func holdsTables(value any) bool {
	_, does := value.([]map[string]any)
	return does
}

// habitOf is what the habits of a place say of word.
func habitOf(word string, known []string, in string) (meant, say string) {
	for _, h := range habits.Of(in) {
		if match := h.Match(word); match == nil {
			continue
		} else if !h.Writes() {
			return "", h.Say(match)
		} else if meant := h.Write(match); slices.Contains(known, meant) {
			return meant, h.Say(match)
		}
	}
	return "", ""
}

// splitKeys returns the keys that the schema has for t, and in their order those of t that it does not
// have. Without a schema, no key is unknown.
func (t *table) splitKeys() (known, unknown []string) {
	if t.report.schema == nil {
		return nil, nil
	}
	known = t.report.schema.keys(t.section)
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if !slices.Contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	return known, unknown
}

// reportUnknown reports the keys that the schema does not have. The keys that they look like count as
// faulty too, so that a misspelt required key is not reported as missing.
func (t *table) reportUnknown() {
	known, unknown := t.splitKeys()
	for _, key := range unknown {
		if advice, was := removed[position.Join(t.section, key)]; was {
			t.faultKey(key, advice)
			continue
		}
		if near := closest(key, known); near != "" {
			t.faulty[near] = true
			t.faultKey(key, fmt.Sprintf("unknown key: did you mean %q?", near)).Fix = near
			continue
		}
		t.faultKey(key, "unknown key: remove it; known here are "+strings.Join(slices.Sorted(slices.Values(known)), ", "))
	}
}

// closest is the word of known that word is probably a misspelling of: a few letters differ,
// or one of the two is cut short. It is "" if no word is near. A short word may differ in two
// letters, a longer one in a third of them.
func closest(word string, known []string) string {
	word = strings.ToLower(word)
	best, least := "", 1+max(2, len(word)/3)
	for _, candidate := range known {
		d := distance(word, candidate)
		if len(word) > 2 && (strings.HasPrefix(candidate, word) || strings.HasPrefix(word, candidate)) {
			d = min(d, 2)
		}
		if d < least && len(candidate) > 2 {
			best, least = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's: the insertions, deletions and replacements between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
