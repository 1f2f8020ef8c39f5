package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Summary is what is left of the runs; zero of none.
type Summary struct {
	Median, Min, Max float64
	Runs             int
}

func summarise(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Summary{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1], Runs: len(sorted)}
}

// String is the median, and from where to where the runs went.
func (s Summary) String() string {
	switch {
	case s.Runs == 0:
		return "–"
	case s.Runs == 1 || s.Min == s.Max:
		return Number(s.Median)
	}
	return fmt.Sprintf("%s (%s … %s)", Number(s.Median), Number(s.Min), Number(s.Max))
}

// over is the ratio of two medians, as text.
func (s Summary) over(other Summary) string {
	if s.Runs == 0 || other.Runs == 0 || other.Median <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", s.Median/other.Median)
}

// Number is a figure with three significant digits, or all before the point.
func Number(v float64) string {
	size := math.Abs(v)
	switch {
	case size >= 100:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 1 || size == 0:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 2, 64), ".00")
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// thousands puts commas into a whole number.
func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}
