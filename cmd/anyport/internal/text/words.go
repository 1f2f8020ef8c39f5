package text

import (
	"fmt"
	"strings"
)

// Count writes a number with its noun.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// compact writes a count in at most seven characters; --json has all digits.
func compact(n uint64) string {
	if n < 1e7 {
		return fmt.Sprint(n)
	}
	unit, rest := 0, float64(n)/1e6
	for ; rest >= 1000; rest /= 1000 {
		unit++
	}
	return fmt.Sprintf("%.1f%c", rest, "MGTPE"[unit])
}

// some keeps a long list readable.
func some(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ",")
	}
	return fmt.Sprintf("%s +%d", strings.Join(list[:most-1], ","), len(list)-most+1)
}

// Bytes writes n in the largest unit that leaves at least one before the point.
func Bytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	unit, rest := 0, float64(n)/1024
	for rest >= 1024 {
		rest /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", rest, units[unit])
}

// Size is n bytes in at most 5 characters, with K for KiB and so on.
func Size(n float64) string {
	if n < 1024 {
		return fmt.Sprintf("%.0f", n)
	}
	return scaled(n, 1024, "KMGTPE")
}

// Number is a count in at most 5 characters, with k for thousands and so on.
func Number(n uint64) string {
	if n < 100000 {
		return fmt.Sprint(n)
	}
	return scaled(float64(n), 1000, "kMGTPE")
}

// scaled writes n, of at least base, in the largest of the units that leaves it no less than 1. A unit is base
// times the one before.
func scaled(n, base float64, units string) string {
	unit := -1
	for n >= base && unit < len(units)-1 {
		n /= base
		unit++
	}
	if n < 99.95 {
		return fmt.Sprintf("%.1f%c", n, units[unit])
	}
	return fmt.Sprintf("%.0f%c", n, units[unit])
}

// limit is a limit of the file; "-" is none.
func limit(n int) string {
	if n == 0 {
		return "-"
	}
	return Number(uint64(n))
}
