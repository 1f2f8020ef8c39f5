package accesslog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A format appends the line of an entry, with its end. Values come from the network only as addresses and
// as ids in hexadecimal; whatever they are, no format lets one break its line or its field.

// formatOf is the format of log.format.
func formatOf(name string) func(b []byte, e *entry) []byte {
	if name == "json" {
		return appendJSON
	}
	return appendText
}

// style is how a format writes one field.
type style struct {
	separator byte
	begin     func(b []byte, f *field) []byte            // appends what stands before the value
	end       func(b []byte, f *field, start int) []byte // completes the value, which begins at start
}

// appendText appends a line of logfmt: NAME=VALUE with a space between, and a value that is not plain in
// double quotes, with the escapes of Go.
func appendText(b []byte, e *entry) []byte {
	return append(appendFields(b, e, &logfmtStyle), '\n')
}

// appendJSON appends one object of JSON.
func appendJSON(b []byte, e *entry) []byte {
	return append(appendFields(append(b, '{'), e, &jsonStyle), '}', '\n')
}

// appendFields appends the fields of an entry. A field without a value is left out, but for those where nothing is
// a value.
func appendFields(b []byte, e *entry, s *style) []byte {
	first := true
	for i := range fields {
		f := &fields[i]
		if f.in&e.kind == 0 {
			continue
		}
		before := len(b)
		if !first {
			b = append(b, s.separator)
		}
		b = s.begin(b, f)
		start := len(b)
		if b = f.value(b, e); len(b) == start && !f.always() {
			b = b[:before]
			continue
		}
		b = s.end(b, f, start)
		first = false
	}
	return b
}

var logfmtStyle = style{' ', func(b []byte, f *field) []byte {
	return append(append(b, f.name...), '=')
}, func(b []byte, _ *field, start int) []byte {
	if value := b[start:]; len(value) == 0 || !plain(value) {
		return strconv.AppendQuote(b[:start], valid(value))
	}
	return b
}}

var jsonStyle = style{',', func(b []byte, f *field) []byte {
	b = append(append(append(b, '"'), f.name...), '"', ':')
	if f.number {
		return b
	}
	return append(b, '"')
}, func(b []byte, f *field, start int) []byte {
	if f.number {
		return b
	}
	if value := b[start:]; !plain(value) {
		b = appendEscaped(b[:start], valid(value))
	}
	return append(b, '"')
}}

// appendEscaped appends a text with JSON's escapes (RFC 8259, section 7), in ASCII only: encoding/json leaves
// DEL and the control characters from U+0080 on as they are, which terminals obey.
func appendEscaped(b []byte, text string) []byte {
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c >= ' ' && c < 0x7f:
			b = append(b, byte(c))
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return b
}

// plain reports whether a value needs no quotes and no escapes in any format.
func plain(value []byte) bool {
	for _, c := range value {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=' {
			return false
		}
	}
	return true
}

// valid is a value as text, with U+FFFD in place of bytes that are not UTF-8. It is a copy: what is appended
// may take the value's place.
func valid(value []byte) string {
	text := string(value)
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// readable is a message without what a terminal would obey: journalctl -a prints a message as it is.
func readable(message []byte) []byte {
	obeyed := func(c rune) bool { return !strconv.IsPrint(c) }
	if !bytes.ContainsFunc(message, obeyed) {
		return message
	}
	quoted := strconv.Quote(string(message))
	return []byte(quoted[1 : len(quoted)-1])
}

// appendMessage appends an entry as people read it.
func appendMessage(b []byte, e *entry) []byte {
	b = append(append(append(append(b, e.Protocol.String()...), ' '), valid([]byte(e.Route))...), ": "...)
	if e.sum != nil {
		b = append(strconv.AppendUint(b, e.sum.count, 10), " refused, "...)
		b = append(append(b, e.Verdict.String()...), ": the first from "...)
		return appendAddr(append(append(b, clientText(e.sum.client)...), " to "...), e.Dst)
	}
	b = appendAddr(append(appendAddr(b, e.Client), " to "...), e.Dst)
	if e.Origin.IsValid() {
		b = appendAddr(append(b, " by "...), e.Origin)
	}
	verb := ": " + e.Verdict.String()
	if e.Live {
		verb = ": goes on"
	}
	b = appendSeconds(append(append(b, verb...), " after "...), e.Took)
	b = strconv.AppendUint(append(b, " s, "...), e.Sent[0].Bytes, 10)
	b = strconv.AppendUint(append(b, " bytes to the origin, "...), e.Sent[1].Bytes, 10)
	return append(b, " to the client"...)
}
