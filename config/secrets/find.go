package secrets

import (
	"strings"

	"anyport/config/tokens"
)

// Found is what a file holds that others must not read.
type Found struct {
	Values []string // as they stand, and as anyport uses them; one may be there twice
	Files  []string // paths that keys such as knock.keys name: secrets stand in these files
}

// Find looks for the secrets of a text. It takes time in proportion to the text.
func Find(text string) Found {
	w := walker{found: &Found{}}
	w.walk(text)
	return *w.found
}

// walker goes through the tokens of a text, and knows which key a value belongs to. It lives for one text.
type walker struct {
	found    *Found
	out      *strings.Builder // gets the text without the secrets; nil: nobody needs it
	comments *walker          // of the comments without other lines between them: they may be a table that is commented out

	opened  []opening // brackets that are open in a value
	key     string    // the last part of it; "": none yet
	inValue bool
	header  bool            // this line is [a.table]
	secret  map[string]bool // of the keys so far: there are few names in a file of many routes
	line    strings.Builder // what of this line is not a pair, and not a header
	knocks  []string        // ports of a sequence
}

// opening is a bracket, and the key that what follows it belongs to.
type opening struct {
	bracket string
	key     string
}

func (w *walker) walk(text string) {
	for token := range tokens.Of(text) {
		kept := w.token(token)
		if w.out != nil {
			w.out.WriteString(kept)
		}
	}
	w.endLine()
}

// token takes the next token, and returns what may stand in its place.
func (w *walker) token(t tokens.Token) string {
	switch t.Kind {
	case tokens.Newline:
		w.endLine()
	case tokens.Comment:
		w.comment(strings.TrimLeft(t.Text, "# \t"))
	case tokens.Mark:
		w.mark(t.Text)
	case tokens.Word, tokens.String:
		w.comments = nil
		if w.inValue {
			return w.value(t)
		}
		w.key = lastPart(t)
	}
	if !w.inValue && !w.header && t.Kind != tokens.Newline && t.Kind != tokens.Comment {
		w.line.WriteString(t.Text)
	}
	return t.Text
}

// mark follows the structure of the text.
func (w *walker) mark(text string) {
	w.comments = nil
	switch text {
	case "=":
		w.inValue = true
		w.line.Reset()
	case "[", "{":
		if !w.inValue {
			w.header = w.header || len(w.opened) == 0 && text == "["
			return
		}
		w.opened = append(w.opened, opening{text, w.key})
		w.inValue = text == "["
	case "]", "}":
		if n := len(w.opened); n > 0 {
			w.key, w.inValue, w.opened = w.opened[n-1].key, true, w.opened[:n-1]
		}
	case ",":
		if n := len(w.opened); n > 0 && w.opened[n-1].bracket == "{" {
			w.endPair()
		}
	}
}

// endPair ends a key and its value.
func (w *walker) endPair() {
	w.addKnocks()
	w.key, w.inValue = "", false
}

// endLine ends what does not go on in the next line.
func (w *walker) endLine() {
	if len(w.opened) > 0 {
		return
	}
	w.endPair()
	w.header = false
	if w.line.Len() > 0 {
		w.looseText(w.line.String())
		w.line.Reset()
	}
}

// comment looks for secrets in a comment, also for those of a key that is commented out.
func (w *walker) comment(text string) {
	w.looseText(text)
	if w.comments == nil {
		w.comments = &walker{found: w.found}
	}
	w.comments.walkLine(text)
}

// walkLine walks through one more line.
func (w *walker) walkLine(text string) {
	for token := range tokens.Of(text) {
		if token.Kind != tokens.Comment {
			w.token(token)
		}
	}
	w.endLine()
}

// lastPart is the last part of a dotted key.
func lastPart(t tokens.Token) string {
	if t.Kind == tokens.String {
		return strings.Trim(t.Text, `"'`)
	}
	return t.Text[strings.LastIndexByte(t.Text, '.')+1:]
}
