// Package program holds the steering program in the kernel: [Loaded] is the sk_lookup program
// with its maps and its link, made by [Load] or taken from another process. It knows how large
// the maps must be, whether what is loaded is of this build, how to run the program on an
// invented packet, and why a kernel refuses it.
//
// It does not know what is in the maps: see package bpfmaps.
//
//	loaded.go        Loaded: load, assign, close
//	build.go         whether a loaded program is of this build
//	sizes.go         how large maps are
//	saved.go          the map for counters and orders, which the program does not use
//	grace_period.go  waits until no run of a program can read an old table
//	link.go, id.go   the link to a network namespace; the id of a program
//	attached.go      all sk_lookup programs of this namespace
//	packet.go        a packet as the program sees it; test_run.go runs the program on it
//	features.go      what the steering needs of the kernel, tried one by one
//	privileges.go    the capabilities that it needs
//	refused.go       which of three reasons an EPERM of bpf(2) has, and what to do
package program
