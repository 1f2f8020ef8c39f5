package nftables

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// readJSON reads what "nft -j list ruleset" prints: objects in the order of the text, but rules after
// all chains of their table.
func readJSON(text string) (*document, error) {
	var all struct {
		Nftables []map[string]json.RawMessage `json:"nftables"`
	}
	body := afterComments(text)
	if err := decode(body, &all); err != nil {
		return nil, syntax(err, text, len(text)-len(strings.TrimRight(text, " \t\r\n"))+len(body))
	}
	if all.Nftables == nil {
		return nil, errors.New(`the JSON has no "nftables": import the output of nft -j list ruleset`)
	}
	d := &document{}
	for _, entry := range all.Nftables {
		for what, raw := range entry {
			if err := d.object(what, raw); err != nil {
				return nil, err
			}
		}
	}
	d.warnings(text[:len(text)-len(body)])
	return d, nil
}

// decode keeps numbers as they are written.
func decode(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// syntax names the line of an error. The JSON is the last part of text.
func syntax(err error, text string, length int) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("line %d: the JSON breaks off. nft 1.0.6 does so at a table with flags: import the output of nft list ruleset, without -j",
			1+strings.Count(text, "\n"))
	}
	offset := int64(0)
	if bad := (*json.SyntaxError)(nil); errors.As(err, &bad) {
		offset = bad.Offset
	}
	if bad := (*json.UnmarshalTypeError)(nil); errors.As(err, &bad) {
		offset = bad.Offset
	}
	at := min(max(len(text)-length+int(offset), 0), len(text))
	return fmt.Errorf("line %d, byte %d: %w", 1+strings.Count(text[:at], "\n"), at, err)
}

// object is a table, chain, rule, set or map. Other objects, such as ct timeouts, have fields of these
// names and other types; they are not decoded. The fields that no two of them have in common are read
// by themselves.
type object struct {
	Family, Table, Name, Chain string
	Handle                     json.Number
	Hook, Policy, Comment      string
	Prio                       int
	Type, Flags                any
	Timeout                    json.Number
	Stmt, Elem, Expr           []any
}

// object adds one object of the list to the document. What has no part in where a packet goes, such as flowtables and
// counters with a name, is passed over.
func (d *document) object(what string, raw json.RawMessage) error {
	switch what {
	case "table", "chain", "rule", "set", "map":
	default:
		return nil
	}
	var o object
	if err := decode(string(raw), &o); err != nil {
		return fmt.Errorf("%s %s: %w", what, shorten(string(raw)), err)
	}
	if what == "table" {
		d.find(o.Family, o.Name).dormant = hasFlag(o.Flags, "dormant")
		return nil
	}
	t := d.find(o.Family, o.Table)
	switch what {
	case "chain":
		c := t.find(o.Name)
		c.kind, _ = o.Type.(string)
		c.hook, c.priority, c.drop = o.Hook, o.Prio, o.Policy == "drop"
	case "set", "map":
		s, err := jsonSet(o)
		if err != nil {
			return fmt.Errorf("table %s %s, %s %s: %w", o.Family, o.Table, what, o.Name, err)
		}
		t.sets[o.Name] = s
	case "rule":
		r, err := jsonRule(o)
		if err != nil {
			return fmt.Errorf("table %s %s, chain %s, handle %s: %w", o.Family, o.Table, o.Chain, o.Handle, err)
		}
		c := t.find(o.Chain)
		c.rules = append(c.rules, r)
	}
	return nil
}

// hasFlag: flags are a list, or one string if there is one flag.
func hasFlag(flags any, flag string) bool {
	if list, is := flags.([]any); is {
		for _, f := range list {
			if f == flag {
				return true
			}
		}
	}
	return flags == flag
}

// jsonSet reads a set. nft 1.0.6 leaves out the flag "dynamic": see prepare for the sets that packets
// change.
func jsonSet(o object) (*set, error) {
	s := &set{}
	if hasFlag(o.Flags, "timeout") || o.Timeout != "" {
		s.changing = expiring
	}
	for _, statement := range o.Stmt {
		if only, is := statement.(map[string]any); is && only["counter"] == nil && !has(only, "counter") && !has(only, "last") {
			s.changing = counting
		}
	}
	for _, value := range o.Elem {
		e, changing, err := jsonElement(value)
		if err != nil {
			return nil, err
		}
		if changing != "" {
			s.changing = changing
		}
		s.elements = append(s.elements, e)
	}
	return s, nil
}

// has reports whether there is such a key, whose value may be null.
func has(object map[string]any, key string) bool {
	_, is := object[key]
	return is
}

// jsonElement reads a value of a set, or the pair that a map has.
func jsonElement(value any) (e element, changing string, err error) {
	if pair, is := value.([]any); is {
		if len(pair) != 2 {
			return e, "", fmt.Errorf("an element of a map has %d parts", len(pair))
		}
		e, changing, err = jsonElement(pair[0])
		if verdict, is := jsonVerdict(pair[1]); is {
			e.verdict = &verdict
		} else {
			e.data = jsonExpression(pair[1])
		}
		return e, changing, err
	}
	if only, is := value.(map[string]any); is {
		if inner, is := only["elem"].(map[string]any); is {
			switch {
			case has(inner, "timeout") || has(inner, "expires"):
				changing = expiring
			case has(inner, "limit") || has(inner, "quota") || has(inner, "ct count"):
				changing = counting
			}
			value = inner["val"]
		}
	}
	e.key = jsonExpression(value)
	return e, changing, nil
}
