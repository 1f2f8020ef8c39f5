// Package dump reads what the sk_lookup programs of a network namespace are and have in their maps, with
// or without the process that loaded them, for people to read. It changes nothing.
//
//	dump.go     the programs, and their maps
//	entries.go  the entries of a map, bounded
//	value.go    keys and values by their types in C
package dump
