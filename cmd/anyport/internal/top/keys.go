package top

import (
	"strings"
	"unicode/utf8"
)

// key is one key: a character, or the name of a key that has none.
type key string

// The keys without a character.
const (
	up       key = "up"
	down     key = "down"
	pageUp   key = "page up"
	pageDown key = "page down"
	home     key = "home"
	end      key = "end"
	enter    key = "enter"
	escape   key = "escape"
	tab      key = "tab"
	erase    key = "erase"
	remove   key = "delete"
	quit     key = "quit" // Ctrl-C, Ctrl-D
)

// sequences are what terminals send for such keys (xterm, the Linux console, tmux, screen).
var sequences = []struct {
	bytes string
	key   key
}{
	{"\x1b[A", up}, {"\x1bOA", up}, {"\x1b[B", down}, {"\x1bOB", down},
	{"\x1b[5~", pageUp}, {"\x1b[6~", pageDown},
	{"\x1b[H", home}, {"\x1bOH", home}, {"\x1b[1~", home}, {"\x1b[F", end}, {"\x1bOF", end}, {"\x1b[4~", end},
	{"\x1b[3~", remove},
	{"\r", enter}, {"\n", enter}, {"\t", tab}, {"\x7f", erase}, {"\b", erase}, {"\x03", quit}, {"\x04", quit},
}

// parseKeys reads the keys of what one read of a terminal returned. An escape sequence comes in one read, so a
// lone ESC is the key. An unknown sequence is no key.
func parseKeys(text string) (keys []key) {
	for text != "" {
		k, size := parseKey(text)
		if k != "" {
			keys = append(keys, k)
		}
		text = text[size:]
	}
	return keys
}

// parseKey reads the first key, and how many bytes it has, of at least one.
func parseKey(text string) (key, int) {
	for _, s := range sequences {
		if strings.HasPrefix(text, s.bytes) {
			return s.key, len(s.bytes)
		}
	}
	if text[0] == 0x1b {
		return parseEscape(text)
	}
	r, size := utf8.DecodeRuneInString(text)
	if r < ' ' || r == utf8.RuneError {
		return "", size
	}
	return key(text[:size]), size
}

// parseEscape skips a sequence (ECMA-48 §5.4) that stands for no known key.
func parseEscape(text string) (key, int) {
	if len(text) == 1 {
		return escape, 1
	}
	if text[1] != '[' && text[1] != 'O' {
		return escape, 1
	}
	for i := 2; i < len(text); i++ {
		if c := text[i]; c >= 0x40 && c <= 0x7e {
			return "", i + 1
		}
	}
	return "", len(text)
}
