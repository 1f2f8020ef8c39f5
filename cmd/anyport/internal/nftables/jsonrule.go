package nftables

import (
	"errors"
	"fmt"
	"strconv"
)

func jsonRule(o object) (*rule, error) {
	r := &rule{comment: o.Comment}
	if len(o.Expr) > mostStatements {
		return nil, errors.New("the rule has more statements than nft allows")
	}
	for _, value := range o.Expr {
		only, is := value.(map[string]any)
		if !is || len(only) != 1 {
			return nil, fmt.Errorf("a statement is an object with one key, not %s", compact(value))
		}
		for name, inner := range only {
			s := jsonStatement(name, inner)
			if s.text == "" {
				s.text = s.printed()
			}
			s.text = shorten(s.text)
			r.statements = append(r.statements, s)
		}
	}
	return r, nil
}

func jsonStatement(name string, inner any) statement {
	if s, is := jsonVerdict(map[string]any{name: inner}); is {
		return s
	}
	switch name {
	case "match":
		return jsonMatch(inner)
	case "vmap":
		return statement{verb: verdicts, left: jsonExpression(field(inner, "key")), right: jsonExpression(field(inner, "data"))}
	case "mangle":
		return statement{verb: change, left: jsonExpression(field(inner, "key")), right: jsonExpression(field(inner, "value"))}
	case "tproxy", "redirect", "dnat":
		return jsonTarget(name, inner)
	case "snat", "masquerade":
		return statement{verb: accept, text: jsonTarget(name, inner).text}
	case "counter":
		return statement{verb: nothing, text: "counter"}
	case "ct helper", "ct timeout", "ct expectation":
		return statement{verb: nothing, text: name + " set " + strconv.Quote(fmt.Sprint(inner))}
	case "log", "flow", "dup", "last", "reset", "secmark":
		return statement{verb: nothing, text: printedObject(name, inner)}
	case "notrack":
		return statement{verb: untrack, text: name}
	case "xt":
		return extension(wordOf(inner, "type"), wordOf(inner, "name"))
	case "set", "map":
		return jsonUpdate(inner)
	}
	reason := reasonOf(name)
	return statement{verb: reason.verb, reason: reason.text, text: printedObject(name, inner)}
}

// jsonVerdict reads a verdict, of a rule or of an element of a map.
func jsonVerdict(value any) (statement, bool) {
	only, _ := value.(map[string]any)
	if len(only) != 1 {
		return statement{}, false
	}
	for name, inner := range only {
		v, is := verdictWords[name]
		if !is {
			return statement{}, false
		}
		s := statement{verb: v, text: name}
		if v == jump || v == goes {
			s.chain = wordOf(inner, "target")
			s.text += " " + s.chain
		}
		if v == reject {
			s.text += printedReject(inner)
		}
		return s, true
	}
	return statement{}, false
}

func jsonMatch(inner any) statement {
	s := statement{verb: match, sign: wordOf(inner, "op"), left: jsonExpression(field(inner, "left")), right: jsonExpression(field(inner, "right"))}
	if s.sign == "in" && s.left.text != "tcp flags" {
		s.sign = "=="
	}
	return s
}

func jsonTarget(name string, inner any) statement {
	s := statement{verb: map[string]verb{"tproxy": tproxy, "redirect": redirect, "dnat": dnat}[name], family: wordOf(inner, "family")}
	if address := field(inner, "addr"); address != nil {
		s.address = jsonExpression(address)
	}
	if port := field(inner, "port"); port != nil {
		s.port = jsonExpression(port)
	}
	s.text = name + s.familyText() + s.destination()
	if hasFlag(field(inner, "type_flags"), "prefix") || hasFlag(field(inner, "flags"), "netmap") {
		s.reason = netmapReason
		s.text = name + s.familyText() + " prefix" + s.destination()
	} else if f := field(inner, "flags"); f != nil {
		s.text += " " + jsonExpression(f).text
	}
	return s
}

// jsonUpdate reads "update @set { … }".
func jsonUpdate(inner any) statement {
	op, name := wordOf(inner, "op"), wordOf(inner, "set")+wordOf(inner, "map")
	reason := reasonOf(op)
	key := printed(jsonExpression(field(inner, "elem")), "")
	if timeout := wordOf(field(field(inner, "elem"), "elem"), "timeout"); timeout != "" {
		key += " timeout " + printedSeconds(timeout)
	}
	key += printedStatements(field(inner, "stmt"))
	if data := field(inner, "data"); data != nil {
		key += " : " + printed(jsonExpression(data), "")
	}
	return statement{verb: reason.verb, reason: reason.text, text: op + " " + name + " { " + key + " }", right: jsonExpression(name)}
}
