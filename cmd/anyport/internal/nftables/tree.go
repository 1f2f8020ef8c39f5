package nftables

// document is one input, as the text or the JSON has it: the form that both readers share. The readers fill it; translate resolves the names of sets in it.
type document struct {
	tables []*table
	byName map[tableName]*table
}

// tableName: tables of two families may have one name.
type tableName struct{ family, name string }

// find returns a table, new if it was not met before.
func (d *document) find(family, name string) *table {
	id := tableName{family, name}
	t := d.byName[id]
	if t == nil {
		t = &table{family: family, name: name, sets: map[string]*set{}, byName: map[string]*chain{}}
		d.tables = append(d.tables, t)
		if d.byName == nil {
			d.byName = map[tableName]*table{}
		}
		d.byName[id] = t
	}
	return t
}

// table is one table with all that is in it. Sets are by name: rules refer to them before or after
// they stand in the input.
type table struct {
	family, name string
	dormant      bool // its chains are not hooked
	managed      bool // iptables-nft keeps it: nft cannot show all of it
	chains       []*chain
	byName       map[string]*chain
	sets         map[string]*set // and maps
}

// find returns a chain, new if it was not met before.
func (t *table) find(name string) *chain {
	c := t.byName[name]
	if c == nil {
		c = &chain{name: name}
		t.chains = append(t.chains, c)
		t.byName[name] = c
	}
	return c
}

// chain is a base chain if it has a hook.
type chain struct {
	name       string
	kind, hook string // of a base chain
	priority   int
	drop       bool // the policy
	rules      []*rule
}

// rule is one rule as it was read.
type rule struct {
	line       int // 0 in JSON
	comment    string
	statements []statement
}

// set is a named set or map.
type set struct {
	elements []element
	changing string // why its elements are not the same for all packets; "": they are
}

// element is a value of a set, with what a map has for it.
type element struct {
	key     *expression
	data    *expression // of a map of values
	verdict *statement  // of a map of verdicts
}

// verb says what a statement does.
type verb uint8

const (
	match    verb = iota // left, sign, right
	verdicts             // a map of verdicts: left is the key, right the map
	change               // left becomes right
	accept
	drop
	reject
	goOn // "continue"
	leave
	jump // to chain
	goes // to chain, never back
	tproxy
	redirect
	dnat
	nothing // it has no part in where a packet goes: counter, log
	untrack // conntrack does not see the packet
	asks    // it may or may not match: see reason
	unclear // it changes or decides something: see reason
)

// statement is a part of a rule. They are carried out from left to right, until one does not match.
type statement struct {
	verb          verb
	sign          string // match: "==", "!=", "<", ">", "<=", ">=", "in" and "!" of flags
	left, right   *expression
	chain         string
	family        string      // tproxy, dnat, redirect: "ip", "ip6", or "" for that of the packet
	address, port *expression // nil: not given
	text          string      // as nft prints it
	reason        string      // asks, unclear
}

// kind says what an expression is.
type kind uint8

const (
	literal   kind = iota // a word: a number, a name, "a-b", "a/24", "*"
	selector              // what is looked at, as nft prints it: "ip daddr"
	operation             // args[0] text args[1]
	concat                // args
	list                  // elements
	reference             // text is the name of a set
	lookup                // args[0] in args[1], a map
	opaque                // what no reader understands: text
)

// expression is a node of the schema that libnftables has for JSON (libnftables-json(5)), which has
// been brought to one form: prefixes and ranges are words, as in the text.
type expression struct {
	kind     kind
	text     string
	quoted   bool // literal
	args     []*expression
	elements []element
}

// word is a literal that stands for itself.
func word(text string) *expression { return &expression{kind: literal, text: text} }
