// Package habits knows what people write in a configuration because another program, a
// shell or another language wants it so, and what they should write here instead.
//
// It is one table, of a pattern and a cure for each habit: keys.go is about the names of
// tables and keys, values.go about values, lines.go about lines and files that are not
// TOML. A new habit is a new row. A cure is either a text to write in place of what was
// found, or words alone.
//
// [Cure.Find] tries the habits of a place in the order of the table and offers the first
// cure that the key itself accepts. So a row does not need to know what is allowed, and
// no message suggests what would be refused.
//
// The package knows TOML and network notations, and nothing of what keys mean: it does not
// import config. Everything in it is pure, except that names of services are looked up in
// /etc/services.
package habits
