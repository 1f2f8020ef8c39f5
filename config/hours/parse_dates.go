package hours

import (
	"fmt"
	"strconv"
	"strings"
)

// dates reads "2026-12-24", "*-12-24..26", "12-24", "*-*-1,15": year, month and day, of which the year
// may be left out. Each is "*", a number, a range, or a list of these.
func (p *parser) dates() error {
	if len(p.words) == 0 || strings.Contains(p.words[0], ":") || isLetter(p.words[0][0]) {
		return nil
	}
	word := p.words[0]
	parts := strings.Split(word, "-")
	if len(parts) == 2 {
		parts = append([]string{"*"}, parts...)
	}
	if word == "*" {
		parts = []string{"*", "*", "*"}
	}
	if len(parts) != 3 {
		return &Error{word, "is not a date", `write such as 2026-12-24, 2026-12-24..26 or *-12-24; a range over two months takes two entries`, ""}
	}
	for i, of := range []struct {
		name        string
		least, most int
		to          *spans
	}{
		{"year", 1970, 2999, &p.rule.days.years},
		{"month", 1, 12, &p.rule.days.months},
		{"day", 1, 31, &p.rule.days.on},
	} {
		read, err := parseSpans(parts[i], of.least, of.most)
		if err != nil {
			return &Error{word, fmt.Sprintf("has the %s %q", of.name, parts[i]), err.Error(), ""}
		}
		*of.to = read
	}
	if !p.rule.days.occur() {
		return &Error{word, "does not occur in any year", "write a date that there is", ""}
	}
	p.words = p.words[1:]
	return nil
}

// longestMonths are the days of each month, in a leap year.
var longestMonths = [...]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// occur reports whether the month has such a day, in some year.
func (d days) occur() bool {
	for m, length := range longestMonths {
		for day := 1; day <= length; day++ {
			if d.months.hold(m+1) && d.on.hold(day) && (m != 1 || day < 29 || d.leap()) {
				return true
			}
		}
	}
	return false
}

// leap reports whether one of the years has a 29th of February.
func (d days) leap() bool {
	for y := 1970; y <= 2999; y++ {
		if d.years.hold(y) && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return true
		}
	}
	return false
}

// parseSpans reads "*", "24", "24..26", "1,15".
func parseSpans(text string, least, most int) (all spans, err error) {
	if text == "*" {
		return nil, nil
	}
	allowed := fmt.Errorf(`write *, a number from %d to %d, a range such as %[1]d..%[2]d, or a list with commas`, least, most)
	for item := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(item, "..")
		if !ranged {
			last = first
		}
		a, ok := digits(first)
		b, okToo := digits(last)
		if !ok || !okToo || a < least || b > most || b < a {
			return nil, allowed
		}
		all = append(all, struct{ first, last int }{a, b})
	}
	return all, nil
}

// digits takes no signs, which strconv would.
func digits(text string) (int, bool) {
	if text == "" || len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
