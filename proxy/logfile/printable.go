package logfile

import (
	"fmt"
	"io"
	"strconv"
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
