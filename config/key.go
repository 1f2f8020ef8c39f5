package config

import (
	"strings"

	"github.com/BurntSushi/toml"

	"anyport/config/position"
)

// A row is what the table says of a key in words: reference.toml and the messages about
// unknown keys come from it.
type row struct {
	name      string
	fallback  string // the default as a file writes it; "": there is none
	example   string // what reference.toml shows instead of the default; "": the default
	doc       string // the comment behind the value in reference.toml
	above     string // the comment above the key there, line by line; an empty line separates paragraphs
	gap       bool   // an empty line precedes it there
	commented bool   // reference.toml has it as a comment
	shape     shape  // what a JSON schema says of the value
}

// A key is a row of the table together with what reads and writes its value. S is the
// struct that holds the value: [Listen], [Route], … Two values are the same to a diff if they
// print the same.
type key[S any] struct {
	row
	read  func(t *table, to *S) // leaves to as it is where the key is absent or faulty
	print func(from *S) string  // as a file writes it
}

// valueKey is a key with a single value.
func valueKey[S, T any](name, fallback string, k kind[T], field func(*S) *T, doc string) key[S] {
	return key[S]{
		row:   row{name: name, fallback: fallback, doc: doc, shape: k.shape},
		read:  func(t *table, to *S) { set(t, name, field(to), k.parse) },
		print: func(from *S) string { return k.print(*field(from)) },
	}
}

// listKey is a key with a list of different values.
func listKey[S any, T comparable](name, fallback string, k kind[T], field func(*S) *[]T, doc string) key[S] {
	return key[S]{
		row:   row{name: name, fallback: fallback, doc: doc, shape: listOf(k.shape)},
		read:  func(t *table, to *S) { setList(t, name, field(to), k.parse) },
		print: func(from *S) string { return printList(*field(from), k.print) },
	}
}

// valueOrListKey is listKey for a key whose only value may stand without brackets.
func valueOrListKey[S any, T comparable](name, fallback string, k kind[T], field func(*S) *[]T, doc string) key[S] {
	l := listKey(name, fallback, k, field, doc)
	l.read = func(t *table, to *S) { setOneOrList(t, name, field(to), k.parse) }
	l.shape = either(k.shape, listOf(k.shape))
	return l
}

// shown is k with what reference.toml has in the place of its default.
func (k key[S]) shown(example string) key[S] {
	k.example = example
	return k
}

// under is k with the comment that stands above it in reference.toml, in a paragraph of its own.
func (k key[S]) under(comment string) key[S] {
	k.above, k.gap = strings.Trim(comment, "\n"), true
	return k
}

// apart is k with an empty line before it in reference.toml.
func (k key[S]) apart() key[S] {
	k.gap = true
	return k
}

// within makes keys of a part those of the struct that holds the part.
func within[S, Part any](prefix string, keys []key[Part], part func(*S) *Part) []key[S] {
	all := make([]key[S], len(keys))
	for i, k := range keys {
		all[i] = key[S]{
			row:   k.row,
			read:  func(t *table, to *S) { k.read(t, part(to)) },
			print: func(from *S) string { return k.print(part(from)) },
		}
		all[i].name = prefix + k.name
	}
	return all
}

// A section is one kind of table: its keys, and the struct that an empty one gives.
type section[S any] struct {
	kind     string // as in table
	keys     []key[S]
	defaults S
}

// newSection panics where a default is refused by its own key: a fault of the table.
func newSection[S any](kind string, keys ...key[S]) section[S] {
	s := section[S]{kind: kind, keys: keys}
	var text strings.Builder
	for _, k := range keys {
		if k.fallback != "" {
			text.WriteString(k.name + " = " + k.fallback + "\n")
		}
	}
	values := map[string]any{}
	if _, err := toml.Decode(text.String(), &values); err != nil {
		panic(err)
	}
	rep := newReport(kind, position.NewDocument(text.String()), position.Scan(text.String()))
	s.readInto(newTable(rep, kind, "", "", "", values), &s.defaults)
	if err := rep.err(); err != nil {
		panic(err)
	}
	return s
}

// readInto reads the keys of t in the order of the table, into what holds the defaults.
func (s section[S]) readInto(t *table, to *S) {
	for _, k := range s.keys {
		k.read(t, to)
	}
}

// read reads the table of root that s describes.
func (s section[S]) read(root *table) S {
	t, got := root.sub(s.kind), s.defaults
	s.readInto(t, &got)
	t.reportUnknown()
	return got
}

// rows are the keys without their types, for reference.toml.
func (s section[S]) rows() []row {
	rows := make([]row, len(s.keys))
	for i, k := range s.keys {
		rows[i] = k.row
	}
	return rows
}
