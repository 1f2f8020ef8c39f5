package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"anyport/config/form"
	"anyport/config/habits"
	"anyport/config/position"
)

// A syntaxError is a place where a text is not TOML. It lives while this one place is
// repaired; the next one needs a new error of the library.
type syntaxError struct {
	p      *position.Map
	offset int // of what the library rejects
	end    int
	reason string
	line   position.Span // around offset, without the end of line
}

// newSyntaxError finds the place that err means. The library stops at the first error.
func newSyntaxError(p *position.Map, err error) syntaxError {
	s := syntaxError{p: p, reason: err.Error()}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		s.reason = strings.TrimSuffix(parse.Message, ".")
		s.offset = min(max(parse.Position.Start, 0), len(p.Text))
		s.end = min(s.offset+max(parse.Position.Len, 1), len(p.Text))
	}
	s.correctOffset()
	start := strings.LastIndexByte(p.Text[:s.offset], '\n') + 1
	length := strings.IndexByte(p.Text[start:], '\n')
	if length < 0 {
		length = len(p.Text) - start
	}
	s.line = position.Between(start, start+len(strings.TrimRight(p.Text[start:start+length], "\r")))
	s.end = max(s.offset, min(s.end, int(s.line.End)))
	return s
}

// correctOffset puts the offset where the library means it. At an end of line, it means the line
// before; at the end of the file, the last that it holds; a byte that is no text may be
// the next one.
func (s *syntaxError) correctOffset() {
	switch rest := s.p.Text[s.offset:]; {
	case strings.Contains(s.reason, "control") || strings.Contains(s.reason, "UTF-8 byte"):
		s.offset += max(0, strings.IndexFunc(rest, isNoText))
	case rest == "":
		s.offset = max(0, len(strings.TrimRight(s.p.Text, " \t\r\n"))-1)
	case rest[0] == '\n' && s.offset > 0:
		s.offset--
	default:
		return
	}
	s.end = s.offset + 1
}

// isNoText reports whether a byte cannot be part of a text, as TOML sees it.
func isNoText(r rune) bool {
	return r == utf8.RuneError || r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0x7f
}

// A syntaxFix is a repair of a syntaxError, and the message about it. Without a Fix it is only a
// message.
type syntaxFix struct {
	position.Repair
	say string
}

// cure asks the habits about the line of the slip. One that does not get the library
// any further is not the cure.
func (s syntaxError) cure() (found syntaxFix, mended bool) {
	found.At = position.Between(s.offset, max(s.end, s.offset+1))
	found.say = "not TOML: " + s.reason
	if at, say := s.duplicate(); say != "" {
		return syntaxFix{position.Repair{At: at}, say}, false
	}
	line := s.p.Source(s.line)
	if len(s.p.Text) > maxRepairable || len(line) > 4096 {
		return found, false
	}
	for _, h := range habits.Of("line") {
		if c, ok := s.tryHabit(h, line); ok && (c.Fix == "" || s.readsOn(c.Repair)) {
			c.say = found.say + ": " + c.say
			return c, c.Fix != ""
		}
	}
	if c, ok := s.missingComma(); ok && s.readsOn(c.Repair) {
		c.say = found.say + ": " + c.say
		return c, true
	}
	for _, h := range habits.Of("reason") {
		if match := h.Match(s.reason); match != nil {
			found.say += ": " + h.Say(match)
			break
		}
	}
	return found, false
}

// tryHabit is what a habit makes of the line.
func (s syntaxError) tryHabit(h habits.Habit, line string) (c syntaxFix, ok bool) {
	match, start, end := h.Find(line)
	if match == nil {
		return c, false
	}
	c.At = position.Between(int(s.line.Start)+start, int(s.line.Start)+end)
	if c.say = h.Say(match); !h.Writes() {
		return c, true
	}
	c.Fix = h.Write(match)
	c.say = habits.Advice(c.Fix, c.say)
	return c, c.Fix != ""
}

// missingComma is the cure where a list lacks one: behind the string before the slip.
func (s syntaxError) missingComma() (c syntaxFix, ok bool) {
	before := strings.TrimRight(s.p.Text[:s.offset], " \t\r\n")
	if !strings.Contains(s.reason, "comma") || !strings.HasSuffix(before, `"`) {
		return c, false
	}
	start := strings.LastIndexAny(before[:len(before)-1], "\"\n")
	if start < 0 || before[start] != '"' {
		return c, false
	}
	c.At = position.Between(start, len(before))
	c.Fix = before[start:] + ","
	c.say = habits.Advice(c.Fix, "")
	return c, true
}

// readsOn reports whether the library reads on beyond the syntaxError after r.
func (s syntaxError) readsOn(r position.Repair) bool {
	next := position.New(s.p.Text)
	next.Apply(r)
	var parse toml.ParseError
	_, err := toml.Decode(next.Text, &map[string]any{})
	if !errors.As(err, &parse) {
		return err == nil
	}
	return parse.Position.Start > max(s.end, s.offset+1)+len(r.Fix)-int(r.At.End-r.At.Start)
}

var (
	headerForm  = form.New(`(?m)^[ \t]*\[+[ \t]*([^\[\]\n#]+?)[ \t]*\]`)
	lineKeyForm = form.New(`^[ \t]*([A-Za-z0-9_-]+)[ \t]*=`)
)

// routeAndKey is the route or table of the slip, and its key, as a [Problem] names them.
func (s syntaxError) routeAndKey() (route, key string) {
	table := ""
	if all := headerForm().FindAllStringSubmatch(s.p.Text[:s.line.Start], -1); all != nil {
		table = printable(all[len(all)-1][1])
	}
	match := lineKeyForm().FindStringSubmatch(s.p.Source(s.line))
	if match == nil {
		return "", ""
	}
	if name, ok := strings.CutPrefix(table, "route."); ok && routeName().MatchString(name) {
		return name, match[1]
	}
	return "", strings.TrimPrefix(table+"."+match[1], ".")
}

// duplicate says where the first of two keys or tables of one name stands.
func (s syntaxError) duplicate() (at position.Span, say string) {
	_, rest, ok := strings.Cut(s.reason, "Key '")
	name, _, closed := strings.Cut(rest, "'")
	if !ok || !closed {
		return position.Span{}, ""
	}
	first, known := position.Scan(s.p.Text[:s.line.Start]).At(name)
	if !known {
		return position.Span{}, ""
	}
	at = s.line
	if is := lineKeyForm().FindStringIndex(s.p.Source(s.line)); is != nil {
		at.End = at.Start + int32(len(strings.TrimRight(s.p.Source(s.line)[:is[1]], " \t=")))
	}
	place := fmt.Sprintf("%s is already at line %d", name, position.NewDocument(s.p.Text).Line(first.Key.Start))
	if first.Value.Empty() {
		return at, place + ": write these keys there, or give this table another name"
	}
	return at, place + ": remove one of the two"
}
