package nftables

import "strings"

// readText reads what "nft list ruleset" prints.
func readText(text string) (*document, error) {
	tokens, err := split(text)
	if err != nil {
		return nil, err
	}
	d := &document{}
	all := cursor{text: text, tokens: tokens}
	for {
		part, more, err := all.part(true)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if err := d.top(part); err != nil {
			return nil, err
		}
	}
	d.warnings(text)
	return d, nil
}

// top reads a table.
func (d *document) top(part cursor) error {
	switch begin := part.look(0); {
	case begin == "flush" && part.look(1) == "ruleset":
		return nil
	case begin == "table":
		return d.table(part)
	case begin == "add" || begin == "create" || begin == "insert" || begin == "define" || begin == "include":
		return part.errorf("%q stands in scripts for nft -f: import what nft list ruleset prints once the script is loaded", begin)
	default:
		return part.errorf("%.40q is not of a ruleset: import what nft list ruleset or nft -j list ruleset prints", begin)
	}
}

func (d *document) table(part cursor) error {
	part.take()
	family, name := "ip", unquoted(part.take())
	if isFamily(name) && part.kind() != '{' && part.more() {
		family, name = name, unquoted(part.take())
	}
	t := d.find(family, name)
	if !part.more() {
		return nil
	}
	if part.kind() != '{' {
		return part.errorf("a table has a family, a name and a block in braces")
	}
	return each(part.block(), true, t.item)
}

// each calls read for each part of a block.
func each(block cursor, toBrace bool, read func(*cursor) error) error {
	for {
		part, more, err := block.part(toBrace)
		if err != nil || !more {
			return err
		}
		if err := read(&part); err != nil {
			return err
		}
	}
}

// item reads one thing of a table. Objects such as counters have no part in where packets go.
func (t *table) item(part *cursor) error {
	switch part.look(0) {
	case "chain":
		return t.chain(part)
	case "set", "map":
		return t.set(part)
	case "flags":
		for part.more() {
			t.dormant = part.take() == "dormant" || t.dormant
		}
	}
	return nil
}

// warnings marks the tables that nft says are not its own.
func (d *document) warnings(text string) {
	for line := range strings.Lines(text) {
		rest, is := strings.CutPrefix(line, "# Warning: table ")
		fields := strings.Fields(rest)
		if !is || len(fields) < 2 {
			continue
		}
		if t := d.byName[tableName{fields[0], fields[1]}]; t != nil {
			t.managed = true
		}
	}
}

func isFamily(word string) bool {
	switch word {
	case "ip", "ip6", "inet", "arp", "bridge", "netdev":
		return true
	}
	return false
}

func unquoted(word string) string { return strings.Trim(word, `"`) }
