// Package config reads the TOML file of anyport into typed, validated values, and
// compares two of them.
//
// A file is read in three steps. The text is decoded as TOML; where it is not TOML, it
// is repaired so that the rest can be checked too (syntax*.go). Every table is read by
// the table of keys, which knows the default, the parser and the printer of each key
// (keys_*.go, kind*.go). Then the routes are checked against each other (conflicts*.go).
// All problems of a file are collected in a report and returned together, each with its
// line, its column and what to write instead ([Problem]). What a *Config holds is final:
// defaults filled in, addresses unmapped, prefixes masked. A *Config never changes: a
// reload makes a new one, and [Compare] says what differs.
//
// Where to look:
//
//	load.go, load_parts.go   Load and Parse; large files are read in parts, to save memory
//	file.go, admin_socket.go what else reads the file: the daemon, and commands that need only its socket
//	syntax*.go               text that is not TOML: the error, its repair, files in other languages
//	keys_file.go             the rows of [listen], [steering], [admin], [log], [defaults]
//	keys_route.go            the rows of a route, its origins and health checks
//	key.go, schema.go        what a row is, and the names of all keys
//	kind*.go                 the types of values: how each is parsed and printed
//	table.go, refusal.go     one TOML table while it is read; why a value is refused
//	unknown_keys.go          misspelt and foreign keys
//	route*.go                the type Route, its header, and the checks of one route
//	conflicts*.go            ties, loops and covered origins among all routes
//	report.go, problem.go    problems, their places, and how they are printed
//	reflector*.go            UDP services that are used to attack others
//	diff.go, effective.go    what a reload changes; all values of a file, with the defaults
//	reference.go             reference.toml, generated from the rows
//	json_schema.go, shape.go the JSON schema for editors, from the rows and from the kinds of values
//	reference_sections.go    the same, for the manual page
//
// To add a key, add a field to its struct and a row to keys_file.go or keys_route.go, and
// run go generate. Reading, the diff of a reload, the names that are suggested for
// misspelt keys, reference.toml and the JSON schema follow from the row.
//
// The package below, position, knows where each key and value stands in a text; habits
// knows what people write because another program wants it so. Neither imports config.
//
// This package does no I/O except reading the file: what only the running host can tell
// (addresses, listeners, routes) is checked by the packages that ask the kernel.
package config
