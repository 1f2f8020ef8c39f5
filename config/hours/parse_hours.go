package hours

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// hours reads "08:00..18:00", "22:00..06:00" or a list of these. Without any, the whole day is meant.
func (p *parser) hours() error {
	if len(p.words) == 0 || !strings.Contains(p.words[0], ":") {
		p.rule.windows = []window{{0, minutesOfDay}}
		return nil
	}
	word := p.words[0]
	for item := range strings.SplitSeq(word, ",") {
		w, err := p.window(item)
		if err != nil {
			return err
		}
		p.rule.windows = append(p.rule.windows, w)
	}
	slices.SortFunc(p.rule.windows, func(a, b window) int { return cmp.Compare(a.begin, b.begin) })
	if err := p.rule.checkOverlap(word); err != nil {
		return err
	}
	p.words = p.words[1:]
	return nil
}

// checkOverlap wants disjoint windows: in one day's list an overlap is a slip of the pen. So only the
// last window can go over midnight.
func (r *rule) checkOverlap(word string) error {
	for i, w := range r.windows[:len(r.windows)-1] {
		if w.overMidnight() || w.end > r.windows[i+1].begin {
			return &Error{word, fmt.Sprintf("has hours that overlap at %s", clock(r.windows[i+1].begin)), "join them, or write two entries", ""}
		}
	}
	return nil
}

// window reads one pair of times.
func (p *parser) window(item string) (window, error) {
	first, last, ranged := strings.Cut(item, "..")
	if !ranged {
		if a, b, found := strings.Cut(item, "-"); found && isTime(a) && isTime(b) {
			return window{}, p.replaced(item, "is not a range of hours", a+".."+b)
		}
		return window{}, &Error{item, "is one moment", `write from when to when, such as 08:00..18:00`, ""}
	}
	begin, ok := minute(first)
	end, okToo := minute(last)
	switch {
	case !ok || !okToo || begin == minutesOfDay:
		return window{}, &Error{item, "are not hours", `write HH:MM..HH:MM, from 00:00 to 24:00, such as 08:00..18:00`, ""}
	case begin == end:
		return window{}, &Error{item, "begins when it ends", `write 00:00..24:00, or no hours, for the whole day`, ""}
	case end == 0:
		end = minutesOfDay
	}
	return window{begin, end}, nil
}

func isTime(text string) bool { _, ok := minute(text); return ok }

// minute reads HH:MM; 24:00 is the end of the day.
func minute(text string) (int, bool) {
	hh, mm, found := strings.Cut(text, ":")
	h, ok := digits(hh)
	m, okToo := digits(mm)
	if !found || !ok || !okToo || len(hh) > 2 || len(mm) != 2 || m > 59 || h*60+m > minutesOfDay {
		return 0, false
	}
	return h*60 + m, true
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
