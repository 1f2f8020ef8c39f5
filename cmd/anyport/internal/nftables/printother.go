package nftables

import (
	"strconv"
	"strings"
)

// printedReject leaves out what nft leaves out: port-unreachable of icmpx is the default.
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
