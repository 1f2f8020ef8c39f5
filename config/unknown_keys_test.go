package config

import (
	"slices"
	"strings"
	"testing"
)

// fileWith is a valid file except for line, which stands in the table of section.
func fileWith(section, line string) string {
	const route = "[route.web]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n"
	switch section {
	case "route":
		return route + line + "\n"
	case "health":
		return route + "[route.web.health]\n" + line + "\n"
	}
	return route + "[" + section + "]\n" + line + "\n"
}

// writable are the sections that a line of their own can be written to.
func writable() (all []tableKeys) {
	for _, table := range fileSchema {
		if table.header != "" {
			all = append(all, table)
		}
	}
	return all
}

// problemOfKey is the problem of fileWith that is about key.
func problemOfKey(t *testing.T, section, line, key string) Problem {
	t.Helper()
	_, err := Parse("anyport.toml", []byte(fileWith(section, line)))
	problems, _ := err.(Problems)
	for _, p := range problems {
		if strings.HasSuffix("."+p.Key, "."+key) {
			return p
		}
	}
	t.Fatalf("[%s] %s: no problem of %s in\n%v", section, line, key, err)
	return Problem{}
}

// TestMisspeltKeys writes every key of the table without its last letter, in capitals, and
// with a dash: its name is what is suggested, at the place of the key.
func TestMisspeltKeys(t *testing.T) {
	for _, table := range writable() {
		for _, name := range table.names {
			for _, typed := range []string{name[:len(name)-1], strings.ToUpper(name), strings.ReplaceAll(name, "_", "-")} {
				if slices.Contains(table.names, typed) || len(typed) < 3 {
					continue
				}
				line := typed + " = 1"
				if name == "prefixes" || name == "protocol" || name == "origins" || name == "health" {
					line = typed + " = []" // whatever: it is known by its name
				}
				p := problemOfKey(t, table.section, line, typed)
				if p.Fix != name && !strings.Contains(p.Text, name) {
					t.Errorf("[%s] %s: %s, want a word about %s", table.section, typed, p.Text, name)
				}
				if p.Column != 1 || p.Length != len(typed) || p.Source != line {
					t.Errorf("[%s] %s: at column %d, %d long, of %q", table.section, typed, p.Column, p.Length, p.Source)
				}
			}
		}
	}
}

// TestMisplacedKeys writes every key into each section that does not have it: the message
// says where it belongs, or what is meant here.
func TestMisplacedKeys(t *testing.T) {
	for _, from := range writable() {
		for _, to := range writable() {
			if to.section == from.section || to.section == "health" {
				continue
			}
			for _, name := range from.names {
				if slices.Contains(to.names, name) {
					continue
				}
				p := problemOfKey(t, to.section, name+" = 1", name)
				if !strings.HasPrefix(p.Text, "unknown key: ") || p.Column != 1 {
					t.Errorf("%s in %s: %v", name, to.header, p)
				}
				place := fileSchema.headerOf(name, to.section)
				moves := strings.HasSuffix(p.Text, "is a key of "+place+": move it there")
				means := p.Fix != "" && slices.Contains(to.names, p.Fix)
				if other := strings.Contains(p.Text, "write") || strings.Contains(p.Text, "remove the key") || strings.Contains(p.Text, "is already there"); !moves && !means && !other {
					t.Errorf("%s in %s: %s", name, to.header, p.Text)
				}
			}
		}
	}
}

// TestListsTwice: what stands twice in a list is reported at its second place.
func TestListsTwice(t *testing.T) {
	lists := 0
	for _, c := range cases(t) {
		if !strings.HasPrefix(c.other, "[") {
			continue
		}
		first, _, _ := strings.Cut(strings.Trim(c.other, "[]"), ",")
		text := c.file("[" + first + ", " + first + "]")
		problems := problemsOf(t, text)
		key := c.key + "[1]"
		i := slices.IndexFunc(problems, func(p Problem) bool { return p.Key == key })
		if i < 0 || !strings.Contains(problems[i].Text, "is already at ") || problems[i].Length != len(first) {
			t.Errorf("%s twice in %s: %v", first, c.key, problems)
		}
		lists++
	}
	if lists < 9 {
		t.Errorf("%d lists, want all", lists)
	}
}

// TestSectionsThatAreNone: what stands in the place of a table.
func TestSectionsThatAreNone(t *testing.T) {
	for _, section := range []string{"listen", "steering", "admin", "log", "defaults"} {
		for _, test := range [][2]string{
			{section + " = 5\n" + plainFile, "5 is not a table: write [" + section + "], and its keys below"},
			{plainFile + "[[" + section + "]]\n", "a list is not a table: write [" + section + "]"},
		} {
			problems := problemsOf(t, test[0])
			if len(problems) != 1 || problems[0].Key != section || problems[0].Text != test[1] {
				t.Errorf("%v, want %q", problems, test[1])
			}
		}
	}
}
