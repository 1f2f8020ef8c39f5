package nftables

import (
	"encoding/json"
	"strings"
)

// jsonExpression makes an expression of its JSON. What is not understood becomes opaque.
func jsonExpression(value any) *expression {
	switch v := value.(type) {
	case string:
		if name, is := strings.CutPrefix(v, "@"); is {
			return &expression{kind: reference, text: name}
		}
		return word(v)
	case json.Number:
		return word(v.String())
	case bool:
		return word(map[bool]string{true: "exists", false: "missing"}[v])
	case []any:
		return flags(v)
	case map[string]any:
		for name, inner := range v {
			if len(v) == 1 {
				return named(name, inner)
			}
		}
	}
	return &expression{kind: opaque, text: compact(value)}
}

// flags are words with commas.
func flags(values []any) *expression {
	words := make([]string, len(values))
	for i, value := range values {
		e := jsonExpression(value)
		if e.kind != literal {
			return &expression{kind: opaque, text: compact(values)}
		}
		words[i] = e.text
	}
	return word(strings.Join(words, ","))
}

// named makes an expression of the object that has the one key name.
func named(name string, inner any) *expression {
	switch name {
	case "concat":
		return &expression{kind: concat, args: all(inner)}
	case "set":
		return jsonList(inner)
	case "range":
		return joined(all(inner), "-")
	case "prefix":
		return joined([]*expression{jsonExpression(field(inner, "addr")), jsonExpression(field(inner, "len"))}, "/")
	case "map":
		return &expression{kind: lookup, args: []*expression{jsonExpression(field(inner, "key")), jsonExpression(field(inner, "data"))}}
	case "elem":
		return jsonExpression(field(inner, "val"))
	case "&", "|", "^", "<<", ">>":
		return operations(name, all(inner))
	}
	return &expression{kind: selector, text: selectorText(name, inner)}
}

// operations go from left to right: newer versions of nft have more than two operands in one list.
func operations(sign string, args []*expression) *expression {
	if len(args) < 2 || len(args) > mostOperations {
		return &expression{kind: opaque, text: sign}
	}
	e := args[0]
	for _, right := range args[1:] {
		e = &expression{kind: operation, text: sign, args: []*expression{e, right}}
	}
	return e
}

// joined makes one word of two.
func joined(parts []*expression, sign string) *expression {
	if len(parts) != 2 || parts[0].kind != literal || parts[1].kind != literal {
		return &expression{kind: opaque, text: sign}
	}
	return word(parts[0].text + sign + parts[1].text)
}

// jsonList is an anonymous set, or one value: nft prints a set of one element as that. A list whose elements come and go
// is opaque, so that its rule is left.
func jsonList(value any) *expression {
	values, is := value.([]any)
	if !is {
		values = []any{value}
	}
	e := &expression{kind: list}
	for _, v := range values {
		element, changing, err := jsonElement(v)
		if err != nil || changing != "" {
			return &expression{kind: opaque, text: changing}
		}
		e.elements = append(e.elements, element)
	}
	return e
}

// all are the expressions of a list.
func all(value any) []*expression {
	values, _ := value.([]any)
	expressions := make([]*expression, len(values))
	for i, v := range values {
		expressions[i] = jsonExpression(v)
	}
	return expressions
}

// field is a value of an object, nil if there is no such.
func field(value any, name string) any {
	object, _ := value.(map[string]any)
	return object[name]
}

// wordOf is a value of an object as a word, "" if there is no such.
func wordOf(value any, name string) string {
	switch v := field(value, name).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// selectorText is how nft prints what is looked at.
func selectorText(name string, inner any) string {
	parts := []string{name, wordOf(inner, "dir"), wordOf(inner, "family"), wordOf(inner, "key")}
	switch name {
	case "meta":
		return metaKey(wordOf(inner, "key"))
	case "payload":
		if base := wordOf(inner, "base"); base != "" {
			return "@" + base + "," + wordOf(inner, "offset") + "," + wordOf(inner, "len")
		}
		parts = []string{wordOf(inner, "protocol"), wordOf(inner, "field")}
	case "fib":
		looked := []string{}
		for _, flag := range all(field(inner, "flags")) {
			looked = append(looked, flag.text)
		}
		if one := wordOf(inner, "flags"); one != "" {
			looked = append(looked, one)
		}
		parts = []string{"fib", strings.Join(looked, " . "), wordOf(inner, "result")}
	case "numgen":
		parts = []string{name, wordOf(inner, "mode"), "mod", wordOf(inner, "mod")}
	case "tcp option", "ip option", "sctp chunk", "dccp option":
		parts = []string{name, wordOf(inner, "name"), wordOf(inner, "field")}
	case "exthdr":
		parts = []string{name, wordOf(inner, "name"), wordOf(inner, "field")}
	case "jhash":
		parts = []string{name, printed(jsonExpression(field(inner, "expr")), ""), "mod", wordOf(inner, "mod")}
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// compact is JSON that has no other form here.
func compact(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return shorten(string(encoded))
}
