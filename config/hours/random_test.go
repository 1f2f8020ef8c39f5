package hours

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// zones have their jumps at different hours, of half an hour (Lord_Howe), of a whole day (Apia, 2011), at
// midnight (Havana), by offsets that are not whole hours, and not at all.
var zones = []string{"UTC", "Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana", "Asia/Kathmandu", "Africa/Casablanca"}

// randomEntry makes a text, with all parts that an entry can have.
func randomEntry(d *rand.Rand) string {
	var words []string
	some := func(n int, one func() string) string {
		var all []string
		for range 1 + d.IntN(n) {
			all = append(all, one())
		}
		return strings.Join(all, ",")
	}
	if d.IntN(2) == 0 {
		words = append(words, some(3, func() string {
			a, b := time.Weekday(d.IntN(7)).String(), time.Weekday(d.IntN(7)).String()
			return []string{a, a[:3], a[:3] + ".." + b[:3], strings.ToLower(a) + ".." + b}[d.IntN(4)]
		}))
	}
	if d.IntN(3) == 0 {
		part := func(least, most int) string {
			a, b := least+d.IntN(most-least+1), least+d.IntN(most-least+1)
			return []string{"*", "*", fmt.Sprint(a), fmt.Sprintf("%d..%d", min(a, b), max(a, b)), fmt.Sprintf("%d,%d", a, b)}[d.IntN(5)]
		}
		date := part(1, 12) + "-" + part(1, 28)
		if d.IntN(2) == 0 {
			date = part(2011, 2012) + "-" + date
		}
		words = append(words, date)
	}
	if d.IntN(4) > 0 || len(words) == 0 {
		var edges []int
		for range 2 * (1 + d.IntN(2)) {
			edges = append(edges, d.IntN(48)*30+d.IntN(2)*d.IntN(30))
		}
		slices.Sort(edges)
		edges = slices.Compact(edges)
		if d.IntN(3) == 0 && len(edges) > 1 { // the last one over midnight
			edges = append(edges[1:], edges[0])
		}
		var windows []string
		for i := 0; i+1 < len(edges); i += 2 {
			windows = append(windows, clock(edges[i])+".."+clock(edges[i+1]))
		}
		if len(windows) == 0 {
			windows = []string{"00:00..24:00"}
		}
		words = append(words, strings.Join(windows, ","))
	}
	return strings.Join(append(words, zones[d.IntN(len(zones))]), " ")
}

// naive reads the text again for each question, and compares words.
func naive(text string, t time.Time) bool {
	words := strings.Fields(text)
	zone, _ := time.LoadLocation(words[len(words)-1])
	t = t.In(zone)
	hours, days := "00:00..24:00", []string{}
	for _, w := range words[:len(words)-1] {
		if strings.Contains(w, ":") {
			hours = w
		} else {
			days = append(days, w)
		}
	}
	now := t.Format("15:04")
	y, m, d := t.Date()
	today := time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	for _, w := range strings.Split(hours, ",") {
		from, to, _ := strings.Cut(w, "..")
		switch over := to <= from; {
		case !over && from <= now && now < to && naiveDay(days, today),
			over && from <= now && naiveDay(days, today),
			over && now < to && naiveDay(days, today.Add(-24*time.Hour)):
			return true
		}
	}
	return false
}

func naiveDay(words []string, day time.Time) bool {
	for _, w := range words {
		if isLetter(w[0]) {
			if !naiveWeekday(w, day) {
				return false
			}
			continue
		}
		parts := strings.Split(w, "-")
		values := []int{day.Year(), int(day.Month()), day.Day()}[3-len(parts):]
		for i, part := range parts {
			if !naiveNumber(part, values[i]) {
				return false
			}
		}
	}
	return true
}

func naiveNumber(part string, n int) bool {
	for _, item := range strings.Split(part, ",") {
		first, last, ranged := strings.Cut(item, "..")
		a, _ := strconv.Atoi(first)
		b, _ := strconv.Atoi(last)
		if item == "*" || !ranged && n == a || ranged && a <= n && n <= b {
			return true
		}
	}
	return false
}

func naiveWeekday(word string, day time.Time) bool {
	week := "sunmontuewedthufrisatsunmontuewedthufrisat"
	short := func(name string) string { return strings.ToLower(name)[:3] }
	for _, item := range strings.Split(word, ",") {
		first, last, ranged := strings.Cut(item, "..")
		if !ranged {
			last = first
		}
		from := strings.Index(week, short(first))
		to := from + strings.Index(week[from:], short(last)) + 3
		if strings.Contains(week[from:to], short(day.Weekday().String())) {
			return true
		}
	}
	return false
}

// TestMinutesAgree walks minutes around the moments that matter, and compares Contains with the naive
// reading, and Next with the walk.
func TestMinutesAgree(t *testing.T) {
	// Days with a jump in one of the zones, the end of a leap February, and any day.
	days := []string{"2011-12-29", "2011-12-31", "2012-02-28", "2012-03-10", "2012-03-24", "2012-03-31", "2012-10-06", "2012-10-27", "2012-11-03", "2012-12-31"}
	n := 60
	if testing.Short() {
		n = 10
	}
	changes := 0
	for seed := range uint64(n) {
		d := rand.New(rand.NewPCG(seed, 14))
		var texts []string
		var s Schedule
		for range 1 + d.IntN(2) {
			text := randomEntry(d)
			e, err := Parse(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			texts, s = append(texts, text), append(s, e)
		}
		begin, _ := time.Parse(time.DateOnly, days[d.IntN(len(days))])
		want := func(at time.Time) bool {
			return slices.ContainsFunc(texts, func(text string) bool { return naive(text, at) })
		}
		last, since := want(begin), begin
		for at := begin; at.Before(begin.Add(50 * time.Hour)); at = at.Add(time.Minute) {
			now := want(at)
			if second := at.Add(59 * time.Second); s.Contains(at) != now || s.Contains(second) != now {
				t.Fatalf("%q at %s: %v, want %v", texts, at, s.Contains(at), now)
			}
			if now == last {
				continue
			}
			changes++
			if next, ok := s.Next(since.Add(time.Duration(d.Int64N(int64(at.Sub(since)))))); !ok || !next.Equal(at) {
				t.Fatalf("%q after %s: next %v %v, want %s", texts, since, next, ok, at)
			}
			last, since = now, at
		}
	}
	if changes < n {
		t.Errorf("only %d changes in %d schedules", changes, n)
	}
}
