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

func printedReject(inner any) string {
	kind, with := wordOf(inner, "type"), wordOf(inner, "expr")
	if kind == "" || kind == "icmpx" && with == "port-unreachable" {
		return ""
	}
	return strings.TrimSuffix(" with "+kind+" "+with, " ")
}

// printedObject is a statement that has no part in where a packet goes, or is not understood.
func printedObject(name string, inner any) string {
	switch name {
	case "limit":
		return printedLimit(inner)
	case "log":
		return printedLog(inner)
	case "quota":
		over := map[bool]string{true: "over ", false: ""}[field(inner, "inv") == true]
		if value := wordOf(inner, "val"); value != "" {
			return "quota " + over + value + " " + wordOf(inner, "val_unit")
		}
	case "ct count":
		over := map[bool]string{true: "over ", false: ""}[field(inner, "inv") == true]
		return "ct count " + over + wordOf(inner, "val")
	case "meter":
		size := ""
		if n := wordOf(inner, "size"); n != "" {
			size = " size " + n
		}
		return "meter " + wordOf(inner, "name") + size + " { " + printed(jsonExpression(field(inner, "key")), "") +
			printedStatements(field(inner, "stmt")) + " }"
	}
	switch v := inner.(type) {
	case nil:
		return name
	case string:
		return name + " name " + strconv.Quote(v)
	}
	return name + " " + compact(inner)
}

// printedStatements are those that go with each element of a set.
func printedStatements(value any) string {
	statements, is := value.([]any)
	if !is && value != nil {
		statements = []any{value}
	}
	line := ""
	for _, statement := range statements {
		if only, is := statement.(map[string]any); is && len(only) == 1 {
			for name, inner := range only {
				line += " " + printedObject(name, inner)
			}
		}
	}
	return line
}

// printedSeconds is a time as nft prints it: "1d2h3m4s", without what is zero.
func printedSeconds(text string) string {
	n, err := strconv.Atoi(text)
	if err != nil {
		return text
	}
	line := ""
	for _, unit := range []struct {
		name    string
		seconds int
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if n >= unit.seconds {
			line += strconv.Itoa(n/unit.seconds) + unit.name
			n %= unit.seconds
		}
	}
	return line
}

func printedLimit(inner any) string {
	over := map[bool]string{true: "over ", false: ""}[field(inner, "inv") == true]
	unit := wordOf(inner, "rate_unit")
	if unit != "" && unit != "packets" {
		unit = " " + unit
	} else {
		unit = ""
	}
	line := "limit rate " + over + wordOf(inner, "rate") + unit + "/" + wordOf(inner, "per")
	if burst := wordOf(inner, "burst"); burst != "" && burst != "5" && burst != "0" {
		line += " burst " + burst + " packets"
	}
	if name, is := inner.(string); is {
		return `limit name "` + name + `"`
	}
	return line
}

func printedLog(inner any) string {
	line := "log"
	if prefix := wordOf(inner, "prefix"); prefix != "" {
		line += ` prefix "` + prefix + `"`
	}
	for _, option := range []string{"group", "snaplen", "level"} {
		if value := wordOf(inner, option); value != "" {
			line += " " + option + " " + value
		}
	}
	if flags := field(inner, "flags"); flags != nil {
		line += " flags " + jsonExpression(flags).text
	}
	return line
}
