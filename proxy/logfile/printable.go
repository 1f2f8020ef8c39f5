package logfile

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable passes lines of log/slog on to w, with escapes for what a terminal would obey. slog's JSON has DEL, the
// control characters from U+0080 on, and marks that turn the direction of a line; its text has DEL where it sees no
// need for quotes. The escapes are those of JSON (RFC 8259, section 7), which Go reads too; outside of strings JSON
// has none of these characters. w gets one Write for each of Printable.
func Printable(w io.Writer) io.Writer { return printable{w} }

type printable struct{ to io.Writer }

func (p printable) Write(line []byte) (int, error) {
	if at := firstEscaped(line); at >= 0 {
		if _, err := p.to.Write(escape(line, at)); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return p.to.Write(line)
}

// firstEscaped is where the first character stands that has to be escaped; -1: there is none.
func firstEscaped(line []byte) int {
	for i := 0; i < len(line); i++ {
		if line[i] < 0x7f {
			continue
		}
		r, size := utf8.DecodeRune(line[i:])
		if !strconv.IsPrint(r) {
			return i
		}
		i += size - 1
	}
	return -1
}

// escape is a copy of the line, escaped from an offset on.
func escape(line []byte, from int) []byte {
	out := append([]byte{}, line[:from]...)
	for rest := line[from:]; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r < 0x7f || strconv.IsPrint(r):
			out = append(out, rest[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	return out
}

// PrintableText is a text for a terminal, with Go's escapes for what a terminal would obey, such as in the name of a
// file. The ends of lines and tabs stay.
func PrintableText(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isObeyed) {
		return escapeText(text)
	}
	return text
}

// isObeyed reports whether a terminal obeys a character instead of showing it, apart from the ends of lines and tabs.
func isObeyed(r rune) bool { return r != '\n' && r != '\t' && !strconv.IsPrint(r) }

func escapeText(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		part := text[at : at+size]
		if isObeyed(r) || r == utf8.RuneError && size == 1 { // a byte that is not UTF-8 may be a control character
			quoted := strconv.Quote(part)
			part = quoted[1 : len(quoted)-1]
		}
		out.WriteString(part)
		at += size
	}
	return out.String()
}
