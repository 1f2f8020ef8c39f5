package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"anyport/config/habits"
)

// A kind is one type of value: how it is read, how a file writes it, and what a schema says of it. The
// first two are each other's inverse.
type kind[T any] struct {
	parse func(any) (T, error) // of what the TOML library makes of the value
	print func(T) string
	shape shape
}

// textual is a kind that files write in quotes.
func textual[T any](s shape, parse func(any) (T, error)) kind[T] {
	return kind[T]{parse, func(value T) string { return strconv.Quote(fmt.Sprint(value)) }, s}
}

// printList is how a file writes a list.
func printList[T any](all []T, print func(T) string) string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = print(v)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// show is a value as a message quotes it: short, and as the file would write it.
func show(value any) string {
	switch v := value.(type) {
	case string:
		if len(v) > 80 {
			return strconv.Quote(v[:80]) + "…"
		}
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64) + " (a float)"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return fmt.Sprint(value)
}

// boolean accepts true and false only.
var boolean = kind[bool]{parseBoolean, strconv.FormatBool, shape{"type": "boolean"}}

// parseBoolean takes no 0, 1, "yes" or "on": habits have a cure for them.
func parseBoolean(value any) (bool, error) {
	v, ok := value.(bool)
	if !ok {
		return false, newRefusal("Boolean", value, "is not a boolean", "write true or false")
	}
	return v, nil
}

// text refuses control characters: paths and names with them end up in logs and terminals.
func text(value any) (string, error) {
	v, ok := value.(string)
	if !ok {
		return "", newRefusal("String", value, "is not a string", `write it in quotes, "" for none`)
	}
	if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' }) {
		return "", newRefusal("String", value, "has a control character", "remove it")
	}
	return v, nil
}

// integer reads a number between least and most.
func integer(least, most int) kind[int] {
	parse := func(value any) (int, error) {
		v, ok := value.(int64)
		if !ok {
			return 0, newRefusal("Integer", value, "is not an integer", fmt.Sprintf("write a number from %d to %d", least, most))
		}
		if v < int64(least) || v > int64(most) {
			return 0, newRefusal("Integer", value, "is out of range", fmt.Sprintf("write a number from %d to %d", least, most))
		}
		return int(v), nil
	}
	return kind[int]{parse, strconv.Itoa, between(least, most)}
}

// count is a limit's value: 0 is none.
var count = integer(0, math.MaxInt32)

// perSecond is a rate's: the kernel counts the nanoseconds between two.
var perSecond = integer(0, 1e9)

// oneOf reads one of the words that allowed print as, in lower case.
func oneOf[T any](allowed ...T) kind[T] {
	word := func(value T) string { return strings.ToLower(fmt.Sprint(value)) }
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = word(a)
	}
	parse := func(value any) (T, error) {
		v, _ := value.(string)
		for i, word := range words {
			if v == word {
				return allowed[i], nil
			}
		}
		m := refusal{want: "Word", found: fmt.Sprintf("%s is not one of %s", show(value), quoted(words))}
		if near := closest(v, words); near != "" {
			m.fix, m.cure = habits.Quote(near), fmt.Sprintf("did you mean %q?", near)
		}
		var none T
		return none, m
	}
	return kind[T]{parse, func(value T) string { return strconv.Quote(word(value)) }, enum(words...)}
}

// quoted lists words as a sentence would: "a", "b" and "c".
func quoted[T ~string](words []T) string {
	var list strings.Builder
	for i, word := range words {
		switch {
		case i > 0 && i == len(words)-1:
			list.WriteString(" and ")
		case i > 0:
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "%q", word)
	}
	return list.String()
}
