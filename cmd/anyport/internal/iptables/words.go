package iptables

import "strings"

// words splits a line as a shell would: iptables-save quotes comments, and escapes quotes in them.
func words(line string) (all []string) {
	var word strings.Builder
	var quote byte
	open := false // a word has begun, which may be empty
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			open = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, open = c, true
		case c == ' ' || c == '\t' || c == '\r':
			if open {
				all = append(all, word.String())
				word.Reset()
				open = false
			}
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if open {
		all = append(all, word.String())
	}
	return all
}
