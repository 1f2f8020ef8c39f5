package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// A slip is a place where a text is not TOML.
type slip struct {
	p      *positions
	offset int // of what the library stumbled over
	end    int
	reason string
	line   span // around offset, without the end of line
}

func newSlip(p *positions, err error) slip {
	s := slip{p: p, reason: err.Error()}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		s.reason = strings.TrimSuffix(parse.Message, ".")
		s.offset = min(max(parse.Position.Start, 0), len(p.text))
		s.end = min(s.offset+max(parse.Position.Len, 1), len(p.text))
	}
	s.aim()
	start := strings.LastIndexByte(p.text[:s.offset], '\n') + 1
	length := strings.IndexByte(p.text[start:], '\n')
	if length < 0 {
		length = len(p.text) - start
	}
	s.line = span{int32(start), int32(start + len(strings.TrimRight(p.text[start:start+length], "\r")))}
	s.end = max(s.offset, min(s.end, int(s.line.end)))
	return s
}

// aim puts the offset where the library means it. At an end of line, it means the line
// before; at the end of the file, the last that it holds; a byte that is no text may be
// the next one.
func (s *slip) aim() {
	switch rest := s.p.text[s.offset:]; {
	case strings.Contains(s.reason, "control") || strings.Contains(s.reason, "UTF-8 byte"):
		s.offset += max(0, strings.IndexFunc(rest, isNoText))
	case rest == "":
		s.offset = max(0, len(strings.TrimRight(s.p.text, " \t\r\n"))-1)
	case rest[0] == '\n' && s.offset > 0:
		s.offset--
	default:
		return
	}
	s.end = s.offset + 1
}

func isNoText(r rune) bool {
	return r == utf8.RuneError || r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0x7f
}

// A slipCure is where a slip is mended, how, and the words that tell it.
type slipCure struct {
	repair
	say string
}

// cure asks the habits about the line of the slip. One that does not get the library
// any further is not the cure.
func (s slip) cure() (found slipCure, mended bool) {
	found.at = span{int32(s.offset), int32(max(s.end, s.offset+1))}
	found.say = "not TOML: " + s.reason
	if at, say := s.again(); say != "" {
		return slipCure{repair{at: at}, say}, false
	}
	line := s.p.source(s.line)
	if len(s.p.text) > mostText || len(line) > 4096 {
		return found, false
	}
	for _, h := range habitsOf("line") {
		if c, ok := s.ask(h, line); ok && (c.fix == "" || s.passes(c.repair)) {
			c.say = found.say + ": " + c.say
			return c, c.fix != ""
		}
	}
	if c, ok := s.comma(); ok && s.passes(c.repair) {
		c.say = found.say + ": " + c.say
		return c, true
	}
	for _, h := range habitsOf("reason") {
		if match := h.match(s.reason); match != nil {
			found.say += ": " + as(h.say)(match)
			break
		}
	}
	return found, false
}

// ask is what a habit makes of the line.
func (s slip) ask(h habit, line string) (c slipCure, ok bool) {
	at := h.form.FindStringSubmatchIndex(line)
	if at == nil || at[2] < 0 {
		return c, false
	}
	c.at = span{s.line.start + int32(at[2]), s.line.start + int32(at[3])}
	match := h.match(line)
	if c.say = as(h.say)(match); h.write == nil {
		return c, true
	}
	c.fix = h.write(match)
	c.say = told(c.fix, c.say)
	return c, c.fix != ""
}

// comma is the cure where a list lacks one: behind the string before the slip.
func (s slip) comma() (c slipCure, ok bool) {
	before := strings.TrimRight(s.p.text[:s.offset], " \t\r\n")
	if !strings.Contains(s.reason, "comma") || !strings.HasSuffix(before, `"`) {
		return c, false
	}
	start := strings.LastIndexAny(before[:len(before)-1], "\"\n")
	if start < 0 || before[start] != '"' {
		return c, false
	}
	c.at = span{int32(start), int32(len(before))}
	c.fix = before[start:] + ","
	c.say = told(c.fix, "")
	return c, true
}

// passes reports whether the library reads on beyond the slip after r.
func (s slip) passes(r repair) bool {
	next := positions{text: s.p.text}
	next.apply(r)
	var parse toml.ParseError
	_, err := toml.Decode(next.text, &map[string]any{})
	if !errors.As(err, &parse) {
		return err == nil
	}
	return parse.Position.Start > max(s.end, s.offset+1)+len(r.fix)-int(r.at.end-r.at.start)
}

var (
	headerForm  = regexp.MustCompile(`(?m)^[ \t]*\[+[ \t]*([^\[\]\n#]+?)[ \t]*\]`)
	lineKeyForm = regexp.MustCompile(`^[ \t]*([A-Za-z0-9_-]+)[ \t]*=`)
)

// where is the route or table of the slip, and its key, as a [Problem] names them.
func (s slip) where() (route, key string) {
	table := ""
	if all := headerForm.FindAllStringSubmatch(s.p.text[:s.line.start], -1); all != nil {
		table = printable(all[len(all)-1][1])
	}
	match := lineKeyForm.FindStringSubmatch(s.p.source(s.line))
	if match == nil {
		return "", ""
	}
	if name, ok := strings.CutPrefix(table, "route."); ok && routeName.MatchString(name) {
		return name, match[1]
	}
	return "", strings.TrimPrefix(table+"."+match[1], ".")
}

// again says where the first of two keys or tables of one name stands.
func (s slip) again() (at span, say string) {
	_, rest, ok := strings.Cut(s.reason, "Key '")
	name, _, closed := strings.Cut(rest, "'")
	if !ok || !closed {
		return span{}, ""
	}
	first, known := scan(s.p.text[:s.line.start]).keys[name]
	if !known {
		return span{}, ""
	}
	at = span{s.line.start, s.line.end}
	if is := lineKeyForm.FindStringIndex(s.p.source(s.line)); is != nil {
		at.end = at.start + int32(len(strings.TrimRight(s.p.source(s.line)[:is[1]], " \t=")))
	}
	place := fmt.Sprintf("%s is at line %d already", name, newDocument(s.p.text).line(first.key.start))
	if first.value.empty() {
		return at, place + ": write these keys there, or give this table another name"
	}
	return at, place + ": remove one of the two"
}
