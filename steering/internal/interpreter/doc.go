// Package interpreter runs a BPF program in user space, for the tests that count how many
// instructions a lookup takes: a count is the same on every machine, and the time is not.
// It reads the maps of the kernel and writes none. It knows the instructions and helpers
// that the steering program has, and is no model of the verifier.
package interpreter
