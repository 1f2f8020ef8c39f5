// Kernels boots kernels of Debian in an emulator, tries the built binary and the tests in
// each, and prints a table of what has passed.
//
//	go run ./integration/kernels [-short] [-run REGEXP] [SUITE ...]
//
// It runs in the repository's directory, as root. A guest sees the host's files, writes
// only to memory, and has no network. A kernel's console is in build/kernels/SUITE/console.
//
//	main.go, build.go       the suites, their kernels, and what the guests run
//	boot.go, initramfs.go   starts a guest and reads its console
//	guest.go, steps.go      this program inside the guest: takes the steps, prints results
//	life.go, identity.go    one anyport from start to stop, as root and with fewer rights
//	table.go                the table of results
package main
