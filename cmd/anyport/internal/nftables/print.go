package nftables

import (
	"fmt"
	"strconv"
	"strings"
)

// printed is an expression as nft prints it, where it is compared with, or becomes, what the selector
// key looks at.
func printed(e *expression, key string) string {
	if e == nil {
		return ""
	}
	switch e.kind {
	case literal:
		return printedWord(e, key)
	case reference:
		return "@" + e.text
	case operation:
		return printed(e.args[0], key) + " " + e.text + " " + printed(e.args[1], keyOf(e.args[0]))
	case concat:
		return printedConcat(e, key)
	case lookup:
		return printed(e.args[0], "") + " map " + printedMap(e.args[1], keyOf(e.args[0]), key)
	case list:
		return printedMap(e, key, "")
	}
	return e.text
}

// printedConcat has one key for each part.
func printedConcat(e *expression, key string) string {
	keys, words := strings.Split(key, " . "), make([]string, len(e.args))
	for i, arg := range e.args {
		words[i] = printed(arg, keys[min(i, len(keys)-1)])
	}
	return strings.Join(words, " . ")
}

// keyOf is the text of what is looked at. The parts of a concatenation have dots between them: fib has
// too, but no value of its own form.
func keyOf(e *expression) string {
	if e.kind == operation {
		return keyOf(e.args[0])
	}
	if e.kind != concat {
		return strings.ReplaceAll(e.text, " . ", "/")
	}
	keys := make([]string, len(e.args))
	for i, arg := range e.args {
		keys[i] = keyOf(arg)
	}
	return strings.Join(keys, " . ")
}

// printedMap is a set or map. Of a long one, only the beginning is kept.
func printedMap(e *expression, key, data string) string {
	if e.kind != list {
		return printed(e, key)
	}
	text := "{ "
	for i, element := range e.elements {
		if i > 0 {
			text += ", "
		}
		if len(text) > longestText {
			text += "…"
			break
		}
		text += element.printed(key, data)
	}
	return text + " }"
}

// printed is an element as nft prints it. key and data are what the two are of, as "meta mark": words depend on it.
func (e element) printed(key, data string) string {
	text := printed(e.key, key)
	switch {
	case e.verdict != nil:
		text += " : " + e.verdict.text
	case e.data != nil:
		text += " : " + printed(e.data, data)
	}
	return text
}

// printedWord quotes names of interfaces, and has marks in hexadecimal, as nft does.
func printedWord(e *expression, key string) string {
	switch key {
	case "meta mark", "ct mark", "socket mark":
		return printedMark(e.text)
	case "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup", "meta iifkind", "meta oifkind", "meta ibrname", "meta obrname", "ct helper":
		if _, err := strconv.Atoi(e.text); err != nil && e.text != "*" || strings.HasSuffix(key, "name") && e.text != "*" {
			return `"` + e.text + `"`
		}
	}
	if e.quoted {
		return `"` + e.text + `"`
	}
	return e.text
}

// printedMark has eight digits; the text of ranges has two of them.
func printedMark(text string) string {
	words := strings.Split(text, "-")
	for i, word := range words {
		n, err := strconv.ParseUint(word, 0, 32)
		if err != nil {
			return text
		}
		words[i] = fmt.Sprintf("0x%08x", n)
	}
	return strings.Join(words, "-")
}

// printed is the statement as nft prints it.
func (s statement) printed() string {
	switch s.verb {
	case match:
		return s.printedMatch()
	case verdicts:
		return printed(s.left, "") + " vmap " + printedMap(s.right, keyOf(s.left), "")
	case change:
		return printed(s.left, "") + " set " + printed(s.right, keyOf(s.left))
	}
	return s.text
}

// printedMatch leaves out the sign where nft does.
func (s statement) printedMatch() string {
	key := keyOf(s.left)
	if op := s.left; op.kind == operation && op.text == "&" && keyOf(op) == "tcp flags" {
		return "tcp flags " + strings.TrimPrefix(s.sign+" ", "== ") + printed(s.right, "") + " / " + printed(op.args[1], "")
	}
	sign := " "
	if s.sign != "==" && s.sign != "in" || s.left.kind == operation {
		sign = " " + s.sign + " "
	}
	return printed(s.left, "") + sign + printed(s.right, key)
}

func (s statement) familyText() string {
	if s.family == "" {
		return ""
	}
	return " " + s.family
}

// destination is where a statement sends packets to.
func (s statement) destination() string {
	if s.address == nil && s.port == nil {
		return ""
	}
	address := printed(s.address, "")
	if s.port == nil {
		return " to " + address
	}
	if s.address != nil && s.address.kind == literal && strings.Contains(address, ":") {
		address = "[" + strings.ReplaceAll(address, "-", "]-[") + "]"
	}
	return " to " + address + ":" + printed(s.port, "")
}
