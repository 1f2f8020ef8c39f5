package secrets

import (
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"anyport/config/form"
	"anyport/config/tokens"
)

// secretName is how keys are called whose value is a secret: those of anyport, and those that people write by
// mistake.
var secretName = form.New(`(?i)pass(wd|word|phrase)|secret|token|credential|api_?key|^auth(entication|orization)?$|(^|[_-])(keys?|pass|private)$`)

// publicTLV are the elements of proxy_tlvs without a text; an unknown one is a mistake, and may be a secret.
var publicTLV = form.New(`^(unique-id|authority|crc32c|pass)$|^0[xX][0-9A-Fa-f]{1,2}(-0[xX][0-9A-Fa-f]{1,2})?$`)

// mask is what stands in place of a secret.
const mask = "***"

// value judges a string, a number or a word by its key, and returns what may stand in its place.
func (w *walker) value(t tokens.Token) string {
	text := t.Text
	if t.Kind == tokens.String {
		text = decode(t.Text)
		w.looseURL(text)
	}
	switch {
	case w.key == "proxy_tlvs":
		kind, value, ok := strings.Cut(text, "=")
		if ok {
			w.add(value)
			return `"` + kind + `=` + mask + `"`
		}
		if publicTLV().MatchString(text) {
			return t.Text
		}
		w.add(text)
	case w.key == "path":
		path, query, ok := strings.Cut(text, "?")
		if !ok {
			return t.Text
		}
		w.add(query)
		return `"` + path + `?` + mask + `"`
	case w.key == "send" || w.key == "expect":
		w.addPayload(text)
	case w.key == "knock":
		if text == "spa" {
			return t.Text
		}
		w.knocks = append(w.knocks, text)
	case !w.isSecret(w.key) || text == "" || text == "true" || text == "false":
		return t.Text
	case filepath.IsAbs(text):
		w.found.Files = append(w.found.Files, text)
		return t.Text
	default:
		w.add(text)
		w.add(strings.Trim(t.Text, `"'`))
	}
	return `"` + mask + `"`
}

// isSecret reports whether the values of a key are secrets.
func (w *walker) isSecret(key string) bool {
	secret, known := w.secret[key]
	if !known {
		secret = secretName().MatchString(key)
		if w.secret == nil || len(w.secret) > mostNames {
			w.secret = map[string]bool{}
		}
		w.secret[key] = secret
	}
	return secret
}

// mostNames bounds the keys that are remembered: a broken file may have many.
const mostNames = 1000

// add notes a secret.
func (w *walker) add(value string) { w.found.Values = append(w.found.Values, value) }

// addPayload notes what a check sends or expects; "hex:6162" stands for bytes.
func (w *walker) addPayload(text string) {
	w.add(text)
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		w.add(digits)
		if value, err := hex.DecodeString(digits); err == nil {
			w.add(string(value))
		}
	}
}

// addKnocks notes a sequence in the forms in which lists are printed. One port alone is no secret.
func (w *walker) addKnocks() {
	if len(w.knocks) > 1 {
		for _, separator := range []string{", ", ",", " "} {
			w.add(strings.Join(w.knocks, separator))
		}
	}
	w.knocks = nil
}

// decode is the text that a string stands for; of one that is broken, what stands between its quotes.
func decode(quoted string) string {
	if !strings.Contains(quoted, `\`) && !strings.HasPrefix(quoted[1:], quoted[:1]) { // most are plain, and the library is slow
		return strings.Trim(quoted, quoted[:1])
	}
	var v struct{ V string }
	if _, err := toml.Decode("V = "+quoted, &v); err != nil {
		return strings.Trim(quoted, `"'`)
	}
	return v.V
}
