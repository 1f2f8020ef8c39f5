// Package bpfmaps writes a [table.Table] into the BPF maps that steer.bpf.c reads. The maps
// have room for two tables, the generations 0 and 1, of which one serves. A [Half] is the room
// for one of them: it can be filled, erased, and compared with a table.
//
// When which half serves, and when it is safe to erase the other, is up to package steering.
//
//	half.go           Half: fill, erase, and whether a table fits
//	entries.go        the entries of each map that a table makes
//	encode.go         keys, numbers of verdicts, and a binding as the program reads it
//	batch.go          many entries in one system call
//	knock.go          the steps of knock sequences
//	sweep.go          erases a half whose table is not known
//	compare.go        what differs between a half and a table; differences.go collects it
//	route_numbers.go  the numbers by which counters and drains outlive a generation
package bpfmaps
