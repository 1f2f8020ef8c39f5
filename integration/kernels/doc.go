// Kernels boots kernels of Debian in an emulator, tries the built binary and the tests in
// each, and prints a table of what has passed.
//
//	go run ./integration/kernels [-short] [-run REGEXP] [SUITE ...]
//
// It runs in the repository's directory, as root. A guest sees the host's files, writes
// only to memory, and has no network. A kernel's console is in build/kernels/SUITE/console.
package main
