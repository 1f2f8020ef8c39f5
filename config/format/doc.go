// Package format gives a TOML file the usual form, for anyport fmt. It changes blanks and ends of lines, and
// nothing else: no key, value or comment is added, removed or moved.
package format
