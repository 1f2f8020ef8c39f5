package logfile

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// FuzzPrintable: a line of JSON stays one with the same content, and a terminal obeys nothing in it.
func FuzzPrintable(f *testing.F) {
	for _, text := range []string{"", "plain", "\x7f", "\u0085\u009b31m", "\u202e", "é\u00ad", "\U000e0001", "\xff\x80", "\u2028", `\u009b`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var line, out bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(text); err != nil {
			t.Fatal(err)
		}
		if n, err := Printable(&out).Write(line.Bytes()); n != line.Len() || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if at := strings.IndexFunc(strings.TrimSuffix(out.String(), "\n"), func(r rune) bool { return !unicode.IsPrint(r) }); at >= 0 {
			t.Errorf("%q has a control character", out.String())
		}
		var want, got string
		if err := json.Unmarshal(line.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != want {
			t.Errorf("%q is %q, %v", want, got, err)
		}
	})
}

func TestPrintableText(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"two\n\tlines, é \"\\":       "two\n\tlines, é \"\\",
		"\x1b[2Jgone\r\a":            `\x1b[2Jgone\r\a`,
		"\u009b31m \u202e \x7f é":    `\u009b31m \u202e \x7f é`,
		"\x9b31m \xff, \ufffd stays": `\x9b31m \xff, ` + "\ufffd stays",
	} {
		if got := PrintableText(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
