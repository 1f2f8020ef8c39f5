package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"anyport/config/form"
)

// size reads a number of bytes between two, which are given as a file would.
func size(least, most string) kind[Size] {
	lo, _ := parseSize(least)
	hi, _ := parseSize(most)
	parse := func(value any) (Size, error) {
		n, ok := parseSize(value)
		if !ok {
			return 0, newRefusal("Size", value, "is not a size", `write bytes as an integer, or a string with a unit, such as "512KiB", "4MiB", "1GiB" or "10MB"`)
		}
		if n < lo || n > hi {
			return 0, newRefusal("Size", value, "is out of range", fmt.Sprintf("write a size from %q to %q", least, most))
		}
		return n, nil
	}
	return kind[Size]{parse, func(n Size) string { return strconv.FormatInt(int64(n), 10) }, either(between(lo, hi), pattern(bytesForm))}
}

// rate reads a size a second between two, which are given as a file would.
func rate(least, most string) kind[Rate] {
	parse := func(value any) (Rate, error) {
		r, ok := parseRate(value)
		if !ok {
			return 0, newRefusal("Rate", value, "is not a rate", `write a string with a size a second, such as "512KiB/s" or "10MiB/s"`)
		}
		lo, _ := parseRate(least)
		hi, _ := parseRate(most)
		if r < lo || r > hi {
			return 0, newRefusal("Rate", value, "is out of range", fmt.Sprintf("write a rate from %q to %q", least, most))
		}
		return r, nil
	}
	return textual(pattern(bytesForm+"/s"), parse)
}

// parseRate reads a size with "/s"; whether it is in range is for the caller.
func parseRate(value any) (Rate, bool) {
	text, _ := value.(string)
	bytes, perSecond := strings.CutSuffix(text, "/s")
	n, ok := parseSize(bytes)
	return Rate(n), ok && perSecond
}

var (
	sizeForm = form.New(`^([0-9]{1,18})(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$`)
	sizeUnit = map[string]float64{
		"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
)

// parseSize reads bytes as an integer, or a string with a unit. It refuses what would overflow
// an int64, with room to spare.
func parseSize(value any) (Size, bool) {
	if n, ok := value.(int64); ok {
		return Size(n), true
	}
	v, _ := value.(string)
	parts := sizeForm().FindStringSubmatch(v)
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

// bandwidth reads a rate, or "" for none, which is 0. A slower rate than the least would send a
// segment of 64 KiB, as loopback has them, in more than a minute.
var bandwidth = kind[Rate]{
	parse: func(value any) (Rate, error) {
		if value == any("") {
			return 0, nil
		}
		if _, ok := parseRate(value); !ok {
			return 0, newRefusal("Rate", value, "is not a bandwidth", `write a size a second, such as "10MiB/s", or "" for no limit`)
		}
		return rate("1KiB/s", "1TiB/s").parse(value)
	},
	print: func(r Rate) string {
		if r == 0 {
			return `""`
		}
		return strconv.Quote(r.String())
	},
	shape: pattern("|" + bytesForm + "/s"),
}
