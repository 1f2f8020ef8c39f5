package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

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

func boolean(value any) (bool, error) {
	v, ok := value.(bool)
	if !ok {
		return false, wrong("Boolean", value, "is not a boolean", "write true or false")
	}
	return v, nil
}

func text(value any) (string, error) {
	v, ok := value.(string)
	if !ok {
		return "", wrong("String", value, "is not a string", `write it in quotes, "" for none`)
	}
	if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' }) {
		return "", wrong("String", value, "has a control character", "remove it")
	}
	return v, nil
}

// integer reads a number between least and most.
func integer(least, most int) func(any) (int, error) {
	return func(value any) (int, error) {
		v, ok := value.(int64)
		if !ok {
			return 0, wrong("Integer", value, "is not an integer", fmt.Sprintf("write a number from %d to %d", least, most))
		}
		if v < int64(least) || v > int64(most) {
			return 0, wrong("Integer", value, "is out of range", fmt.Sprintf("write a number from %d to %d", least, most))
		}
		return int(v), nil
	}
}

// count is a limit's value: 0 is none.
var count = integer(0, math.MaxInt32)

// perSecond is a rate's: the kernel counts the nanoseconds between two.
var perSecond = integer(0, 1e9)

// duration reads a Go duration between two, which are given as a file would.
func duration(least, most string) func(any) (time.Duration, error) {
	return func(value any) (time.Duration, error) {
		v, _ := value.(string)
		d, err := time.ParseDuration(v)
		if err != nil {
			return 0, wrong("Duration", value, "is not a duration", `write a string with a unit, such as "500ms", "30s" or "1h"`)
		}
		lo, _ := time.ParseDuration(least)
		hi, _ := time.ParseDuration(most)
		if d < lo || d > hi {
			return 0, wrong("Duration", value, "is out of range", fmt.Sprintf("write a duration from %q to %q", least, most))
		}
		return d, nil
	}
}

// size reads a number of bytes between two, which are given as a file would.
func size(least, most string) func(any) (Size, error) {
	return func(value any) (Size, error) {
		n, ok := parseSize(value)
		if !ok {
			return 0, wrong("Size", value, "is not a size", `write bytes as an integer, or a string with a unit, such as "512KiB", "4MiB", "1GiB" or "10MB"`)
		}
		lo, _ := parseSize(least)
		hi, _ := parseSize(most)
		if n < lo || n > hi {
			return 0, wrong("Size", value, "is out of range", fmt.Sprintf("write a size from %q to %q", least, most))
		}
		return n, nil
	}
}

// rate reads a size a second between two, which are given as a file would.
func rate(least, most string) func(any) (Rate, error) {
	return func(value any) (Rate, error) {
		r, ok := parseRate(value)
		if !ok {
			return 0, wrong("Rate", value, "is not a rate", `write a string with a size a second, such as "512KiB/s" or "10MiB/s"`)
		}
		lo, _ := parseRate(least)
		hi, _ := parseRate(most)
		if r < lo || r > hi {
			return 0, wrong("Rate", value, "is out of range", fmt.Sprintf("write a rate from %q to %q", least, most))
		}
		return r, nil
	}
}

func parseRate(value any) (Rate, bool) {
	text, _ := value.(string)
	bytes, perSecond := strings.CutSuffix(text, "/s")
	n, ok := parseSize(bytes)
	return Rate(n), ok && perSecond
}

var (
	sizeForm = regexp.MustCompile(`^([0-9]{1,18})(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$`)
	sizeUnit = map[string]float64{
		"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
)

func parseSize(value any) (Size, bool) {
	if n, ok := value.(int64); ok {
		return Size(n), true
	}
	v, _ := value.(string)
	parts := sizeForm.FindStringSubmatch(v)
	if parts == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	unit := sizeUnit[parts[2]]
	if err != nil || float64(n)*unit > math.MaxInt64/2 {
		return 0, false
	}
	return Size(n) * Size(unit), true
}

// oneOf reads one of the words that allowed print as, in lower case.
func oneOf[T any](allowed ...T) func(any) (T, error) {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = strings.ToLower(fmt.Sprint(a))
	}
	return func(value any) (T, error) {
		v, _ := value.(string)
		for i, word := range words {
			if v == word {
				return allowed[i], nil
			}
		}
		m := mistake{want: "Word", found: fmt.Sprintf("%s is none of %s", show(value), quoted(words))}
		if near := closest(v, words); near != "" {
			m.fix, m.cure = quote(near), fmt.Sprintf("did you mean %q?", near)
		}
		var none T
		return none, m
	}
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
