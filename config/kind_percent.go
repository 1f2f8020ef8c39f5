package config

import (
	"math"
	"strconv"
	"strings"
)

// Percent is a part of all: from 0 to 100.
type Percent float64

// Share is the part as a number from 0 to 1.
func (p Percent) Share() float64 { return float64(p) / 100 }

// String is the part as a file writes it, such as 0.5%.
func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// percent reads "1%", or a number from 0 to 1.
var percent = textual(parsePercent)

func parsePercent(value any) (Percent, error) {
	p := math.NaN()
	switch v := value.(type) {
	case string:
		if number, ok := strings.CutSuffix(v, "%"); ok && strings.Trim(number, "0123456789.") == "" {
			if n, err := strconv.ParseFloat(number, 64); err == nil {
				p = n
			}
		}
	case float64:
		p = math.Round(v*100*1e9) / 1e9 // 0.07*100 is 7.000000000000001
	case int64:
		p = float64(v) * 100
	}
	if !(p >= 0 && p <= 100) {
		return 0, newRefusal("Percent", value, "is not a part of all", `write one such as "1%", from "0%" to "100%", or a number from 0 to 1`)
	}
	return Percent(p), nil
}
