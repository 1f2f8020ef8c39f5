package nginx

import (
	"errors"
	"fmt"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
)

// directive is a name with arguments, and what stands in its braces.
type directive struct {
	*proxyconf.Line
	name  string
	args  []string
	block []*directive
	opens bool // it has braces
}

// arg is the argument at i, or "".
func (d *directive) arg(i int) string {
	if i < len(d.args) {
		return d.args[i]
	}
	return ""
}

// deepest bounds blocks within blocks.
const deepest = 100

// parse reads a text into its directives.
func parse(name, text string) ([]*directive, error) {
	l := &lexer{text: text, line: 1}
	list, err := block(name, l, 0)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, l.line, err)
	}
	return list, nil
}

// block reads directives up to the brace that ends their block, or to the end of the text at depth 0.
func block(name string, l *lexer, depth int) ([]*directive, error) {
	if depth > deepest {
		return nil, errors.New("blocks are nested too deep: is this a configuration of nginx?")
	}
	var list []*directive
	for {
		t, err := l.next()
		switch {
		case errors.Is(err, errEnd) && depth == 0:
			return list, nil
		case errors.Is(err, errEnd):
			return nil, errors.New("a block has no end: add the brace }")
		case err != nil:
			return nil, err
		case t.is("}") && depth > 0:
			return list, nil
		case t.is("}"):
			return nil, errors.New("a brace } without a block: remove it")
		case t.is(";") || t.is("{"):
			return nil, fmt.Errorf("%q without a directive before it", t.text)
		}
		d := &directive{Line: &proxyconf.Line{File: name, Number: t.line}, name: t.text}
		if err := d.read(name, l, depth); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
}

// read reads the arguments of a directive, and its block.
func (d *directive) read(name string, l *lexer, depth int) error {
	for {
		t, err := l.next()
		switch {
		case errors.Is(err, errEnd) || err == nil && t.is("}"):
			return fmt.Errorf("%s has no semicolon at its end: add it", d.name)
		case err != nil:
			return err
		case t.is(";"):
			d.Text = strings.Join(append([]string{d.name}, d.args...), " ")
			return nil
		case t.is("{"):
			d.opens = true
			d.Text = strings.Join(append([]string{d.name}, d.args...), " ")
			if strings.HasSuffix(d.name, "_by_lua_block") {
				return l.raw()
			}
			d.block, err = block(name, l, depth+1)
			return err
		}
		d.args = append(d.args, t.text)
	}
}

// count is how many directives stand in a block.
func count(list []*directive) int {
	n := len(list)
	for _, d := range list {
		n += count(d.block)
	}
	return n
}
