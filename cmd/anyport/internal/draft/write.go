package draft

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"anyport/config"
)

// Write writes f as TOML.
func (f *File) Write(w io.Writer) error {
	var b strings.Builder
	comments(&b, f.Comments)
	if len(f.Steering) > 0 {
		b.WriteString("\n[steering]\n")
		settings(&b, f.Steering)
	}
	for _, r := range f.Routes {
		b.WriteString("\n")
		r.write(&b)
	}
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

func (r *Route) write(b *strings.Builder) {
	comments(b, r.Comments)
	fmt.Fprintf(b, "[route.%s]\n", r.Name)
	settings(b, append(r.match(), r.Settings...))
	if len(r.Health) > 0 {
		fmt.Fprintf(b, "\n[route.%s.health]\n", r.Name)
		settings(b, r.Health)
	}
}

// match is the keys that say which packets r takes, and what it does with them.
func (r *Route) match() []Setting {
	all := []Setting{{Key: "protocol", Value: list(r.Protocols, config.Protocol.String)}}
	if len(r.Protocols) == 1 {
		all[0].Value = Text(r.Protocols[0].String())
	}
	var prefixes []string
	for _, p := range r.Prefixes {
		if p.IsSingleIP() {
			prefixes = append(prefixes, p.Addr().String())
		} else {
			prefixes = append(prefixes, p.String())
		}
	}
	all = append(all, Setting{Key: "prefixes", Value: List(prefixes...)})
	if len(r.Ports) > 0 {
		all = append(all, Setting{Key: "ports", Value: Ports(r.Ports)})
	}
	if len(r.ExceptPorts) > 0 {
		all = append(all, Setting{Key: "except_ports", Value: Ports(r.ExceptPorts)})
	}
	if r.Action != config.Forward {
		all = append(all, Setting{Key: "action", Value: Text(r.Action.String())})
	}
	return all
}

// settings writes a line for each, with the equal signs below each other.
func settings(b *strings.Builder, all []Setting) {
	width := 0
	for _, s := range all {
		width = max(width, len(s.Key))
	}
	for _, s := range all {
		fmt.Fprintf(b, "%-*s = %s", width, s.Key, s.Value)
		if s.Comment != "" {
			fmt.Fprintf(b, "  # %s", oneLine(s.Comment))
		}
		b.WriteString("\n")
	}
}

func comments(b *strings.Builder, lines []string) {
	for _, line := range lines {
		b.WriteString(strings.TrimRight("# "+oneLine(line), " ") + "\n")
	}
}

// oneLine keeps a comment a comment: TOML allows no control characters in it.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, strings.ReplaceAll(text, "\t", " "))
}

// Text is a string in TOML.
func Text(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// List is an array of strings in TOML. A long one has a line for each element.
func List(elements ...string) string { return list(elements, func(s string) string { return s }) }

// Ports is an array of ports and ranges in TOML.
func Ports(ranges []config.PortRange) string {
	var all []string
	for _, r := range ranges {
		if r.First == r.Last {
			all = append(all, strconv.Itoa(int(r.First)))
		} else {
			all = append(all, Text(r.String()))
		}
	}
	return array(all)
}

func list[T any](elements []T, text func(T) string) string {
	var all []string
	for _, e := range elements {
		all = append(all, Text(text(e)))
	}
	return array(all)
}

// widest is the length of an array that still stands on one line.
const widest = 90

func array(elements []string) string {
	line := "[" + strings.Join(elements, ", ") + "]"
	if len(line) <= widest {
		return line
	}
	return "[\n  " + strings.Join(elements, ",\n  ") + ",\n]"
}
