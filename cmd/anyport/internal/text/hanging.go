package text

import (
	"io"
	"strings"
	"unicode/utf8"
)

// lineWidth is what a narrow terminal shows of a line.
const lineWidth = 80

// hanging is a text behind head, and what does not fit into the line below the text's begin.
func hanging(head, text string) (lines []string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(head))
	for _, line := range wrap(text, lineWidth-len(indent)) {
		lines = append(lines, strings.TrimRight(head+line, " "))
		head = indent
	}
	return lines
}

// writeLabelled writes texts behind what they are called.
func writeLabelled(w io.Writer, lines [][2]string) {
	label := 0
	for _, line := range lines {
		label = max(label, len(line[0]))
	}
	for _, line := range lines {
		for _, part := range hanging(line[0]+strings.Repeat(" ", label-len(line[0]))+gap, line[1]) {
			io.WriteString(w, part+"\n")
		}
	}
}

// wrap breaks a text into lines: between its clauses if it can, and otherwise between words. A word that
// is longer than a line stays whole.
func wrap(text string, width int) (lines []string) {
	line := ""
	put := func(part string) {
		if line != "" && utf8.RuneCountInString(line+strings.TrimRight(part, " ")) > width {
			lines, line = append(lines, line), ""
		}
		line += part
	}
	for _, clause := range clauses(text) {
		if utf8.RuneCountInString(strings.TrimRight(clause, " ")) <= width {
			put(clause)
			continue
		}
		for _, word := range strings.SplitAfter(clause, " ") {
			put(word)
		}
	}
	return append(lines, line)
}

// clauses cuts a text after each mark that a space follows.
func clauses(text string) (all []string) {
	for rest := text; rest != ""; {
		n := len(rest)
		for _, mark := range []string{", ", "; ", ": "} {
			if i := strings.Index(rest, mark); i >= 0 {
				n = min(n, i+len(mark))
			}
		}
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}
