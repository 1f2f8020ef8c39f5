package hours

import (
	"fmt"
	"strings"
	"time"
)

// Parse reads an entry: weekdays, dates, windows and a zone, in this order, each of which may be
// left out. Its errors are about a part of the text, and say what to write instead.
func Parse(text string) (Entry, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Entry{}, &Error{"", "has no days and no hours", example, ""}
	}
	r := &rule{zone: time.Local}
	p := parser{text: text, words: words, rule: r}
	for _, part := range []func() error{p.weekdays, p.dates, p.hours, p.zone} {
		if err := part(); err != nil {
			return Entry{}, err
		}
	}
	if len(p.words) > 0 {
		return Entry{}, p.unknown(p.words[0])
	}
	return Entry{strings.Join(words, " "), r}, nil
}

const example = `write such as "Mon..Fri 08:00..18:00 Europe/Stockholm"`

// Error is why an entry is refused.
type Error struct {
	Part string // of the text; "": all of it
	Is   string // what is wrong with it
	Cure string // what is allowed
	Fix  string // the whole entry as it should be, "" if that is not known
}

// Error is in words: the part, what is wrong, what is allowed.
func (e *Error) Error() string {
	if e.Part == "" {
		return e.Is + ": " + e.Cure
	}
	return fmt.Sprintf("%q %s: %s", e.Part, e.Is, e.Cure)
}

// parser takes an entry apart, word by word.
type parser struct {
	text  string
	words []string // that are left
	rule  *rule
}

// replaced is an error that knows what the word at fault has to be.
func (p *parser) replaced(word, is, by string) error {
	fix := strings.Replace(p.text, word, by, 1)
	return &Error{word, is, fmt.Sprintf("write %q", fix), fix}
}

// weekdays reads "Mon..Fri", "Sat,Sun", "Mon,Wed..Fri"; a range may wrap, as "Sat..Mon".
func (p *parser) weekdays() error {
	word := p.words[0]
	if word[0] == '*' || !isLetter(word[0]) || isZone(word) {
		return nil
	}
	for item := range strings.SplitSeq(strings.TrimSuffix(word, ","), ",") {
		first, last, ranged := strings.Cut(item, "..")
		a, known := weekday(first)
		if !known {
			return p.notWeekday(word, item)
		}
		b := a
		if ranged {
			if b, known = weekday(last); !known {
				return p.notWeekday(word, item)
			}
		}
		for d := a; ; d = (d + 1) % 7 {
			p.rule.days.weekdays |= 1 << d
			if d == b {
				break
			}
		}
	}
	p.words = p.words[1:]
	return nil
}

// notWeekday knows the two usual mistakes: a dash for a range, and "-" or the like between words.
func (p *parser) notWeekday(word, item string) error {
	for _, dash := range []string{"-", "–", "…", "..."} {
		if a, b, found := strings.Cut(item, dash); found {
			_, known := weekday(a)
			_, knownToo := weekday(b)
			if known && knownToo {
				return p.replaced(item, "is not a range of weekdays", a+".."+b)
			}
		}
	}
	if zone := nearZone(word); zone != "" {
		return p.replaced(word, "is not a time zone", zone)
	}
	return &Error{item, "is not a weekday", `write Mon, Tue, Wed, Thu, Fri, Sat or Sun, a range such as Mon..Fri, or a list such as Sat,Sun`, ""}
}

// weekday reads a name in full or its first three letters, as systemd does.
func weekday(name string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(name, d.String()) || strings.EqualFold(name, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isZone reports whether word is the name of a zone, not of a weekday.
func isZone(word string) bool {
	_, err := loadZone(word)
	return err == nil
}

// loadZone takes the names of the database, and not "Local", which would mean another zone on each host.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is not the name of a zone", name)
	}
	return time.LoadLocation(name)
}

// zone reads the last word.
func (p *parser) zone() error {
	if len(p.words) == 0 {
		return nil
	}
	word := p.words[0]
	if !isLetter(word[0]) {
		return nil
	}
	zone, err := loadZone(word)
	if err != nil {
		if near := nearZone(word); near != "" {
			return p.replaced(word, "is not a time zone", near)
		}
		return &Error{word, "is not a time zone", `write a name such as Europe/Stockholm or UTC, or leave it out for the zone of the host`, ""}
	}
	p.rule.zone, p.words = zone, p.words[1:]
	return nil
}

// nearZone corrects case, spaces and the like: "europe/stockholm", "utc"; "" if that does not help.
func nearZone(word string) string {
	if strings.EqualFold(word, "utc") || strings.EqualFold(word, "gmt") || strings.EqualFold(word, "z") {
		return "UTC"
	}
	parts := strings.Split(strings.ToLower(word), "/")
	for i, part := range parts {
		names := strings.Split(part, "_")
		for j, n := range names {
			if n != "" && n != "of" && n != "es" {
				names[j] = strings.ToUpper(n[:1]) + n[1:]
			}
		}
		parts[i] = strings.Join(names, "_")
	}
	if name := strings.Join(parts, "/"); strings.Contains(name, "/") && name != word && isZone(name) {
		return name
	}
	return ""
}

// unknown reports a word that stands where none belongs.
func (p *parser) unknown(word string) error {
	return &Error{word, "is left over", "the order is weekdays, dates, hours, zone; " + example, ""}
}
