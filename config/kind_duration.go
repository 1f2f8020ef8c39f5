package config

import (
	"fmt"
	"time"
)

// duration reads a Go duration between two, which are given as a file would.
func duration(least, most string) kind[time.Duration] {
	parse := func(value any) (time.Duration, error) {
		v, _ := value.(string)
		d, err := time.ParseDuration(v)
		if err != nil {
			return 0, newRefusal("Duration", value, "is not a duration", `write a string with a unit, such as "500ms", "30s" or "1h"`)
		}
		lo, _ := time.ParseDuration(least)
		hi, _ := time.ParseDuration(most)
		if d < lo || d > hi {
			return 0, newRefusal("Duration", value, "is out of range", fmt.Sprintf("write a duration from %q to %q", least, most))
		}
		return d, nil
	}
	return textual(pattern(durationForm), parse)
}

// orNone reads "0s", or what k reads.
func orNone(k kind[time.Duration]) kind[time.Duration] {
	parse := func(value any) (time.Duration, error) {
		if value == any("0s") {
			return 0, nil
		}
		d, err := k.parse(value)
		return d, withAlternative(err, `, or "0s" for none`)
	}
	return textual(k.shape, parse)
}

// orAuto reads "auto", which is 0, or what k reads.
func orAuto(k kind[time.Duration]) kind[time.Duration] {
	parse := func(value any) (time.Duration, error) {
		if value == any("auto") {
			return 0, nil
		}
		d, err := k.parse(value)
		return d, withAlternative(err, `, or "auto"`)
	}
	return kind[time.Duration]{parse, func(d time.Duration) string {
		if d == 0 {
			return `"auto"`
		}
		return k.print(d)
	}, pattern("auto|" + durationForm)}
}
