package secrets

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A shorter secret than least is masked in the file only: elsewhere it would hide half of the text. Of a
// longer one than piece, any part of that length is masked: messages shorten what they quote.
const (
	least = 4
	piece = 8
)

// Mask replaces secrets in texts. It does not change after NewMask, so goroutines may share it.
type Mask struct {
	pieces map[string][]string // by their first bytes
	starts [1 << 16]bool       // by their first two bytes, to be fast
}

// NewMask makes a mask of secrets.
func NewMask(values []string) *Mask {
	m := &Mask{pieces: map[string][]string{}}
	known := map[string]bool{}
	for _, value := range values {
		for _, form := range forms(value) {
			for _, part := range parts(form) {
				if !known[part] {
					known[part] = true
					m.add(part)
				}
			}
		}
	}
	return m
}

func (m *Mask) add(part string) {
	m.starts[int(part[0])<<8|int(part[1])] = true
	m.pieces[part[:least]] = append(m.pieces[part[:least]], part)
}

// parts are what is searched for to find a secret.
func parts(form string) (all []string) {
	if len(form) < least {
		return nil
	}
	for from := 0; from+min(piece, len(form)) <= len(form); from++ {
		all = append(all, form[from:from+min(piece, len(form))])
	}
	return all
}

// forms are the ways in which programs write a text: as it is, in quotes, in JSON, in a URL, in base64; and in
// quotes within quotes, as a line of the log has an error that quotes a value.
func forms(value string) []string {
	all := []string{value}
	for range 2 {
		for _, form := range all {
			inJSON, _ := json.Marshal(form) // does not fail: it is a string
			for _, quoted := range []string{strconv.Quote(form), strconv.QuoteToASCII(form), string(inJSON)} {
				if inner := quoted[1 : len(quoted)-1]; !slices.Contains(all, inner) {
					all = append(all, inner)
				}
			}
		}
	}
	return append(all, url.QueryEscape(value), url.PathEscape(value), base64.StdEncoding.EncodeToString([]byte(value)))
}

// String is a text with *** in place of each secret.
func (m *Mask) String(text string) string {
	var out strings.Builder
	kept, hidden := 0, 0 // what is before kept is written; what is before hidden is not to be seen
	for i := 0; i+least <= len(text); i++ {
		end := m.end(text, i)
		if end <= hidden {
			continue
		}
		if i > hidden || hidden == 0 {
			out.WriteString(text[kept:max(kept, i)])
			out.WriteString(mask)
		}
		hidden, kept = end, end
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

// end is where the longest secret ends that begins at i; 0: none does.
func (m *Mask) end(text string, i int) (end int) {
	if !m.starts[int(text[i])<<8|int(text[i+1])] {
		return 0
	}
	for _, part := range m.pieces[text[i:i+least]] {
		if strings.HasPrefix(text[i:], part) {
			end = max(end, i+len(part))
		}
	}
	return end
}
