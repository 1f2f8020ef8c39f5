// Package bpf holds the sk_lookup program `steer` and its maps, and the tc program
// `mark_returning` for routes with transparent, the tc program `forward_admitted` for UDP flows that
// user space has admitted, the tc programs `ask_peers` and `take_asked` for conns that other hosts of a
// fleet have, and the sockops program `note_listener` for routes
// to services of this host, compiled: a loader and nothing else. What goes into the maps is the
// business of package steering.
//
// Go code and objects are generated, and committed, so that `go build` needs no
// clang. After a change of the C files run `go generate ./bpf`, which needs clang
// and libbpf-dev.
package bpf

// Clang for the bpf target does not look into Debian's multiarch directories, where
// the kernel's <asm/types.h> is; a directory that does not exist is no error.
//
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -target bpfel,bpfeb -type verdict -type question -type extra -type reason -type knocked Steer steer.bpf.c -- -O2 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -target bpfel,bpfeb Returning returning.bpf.c -- -O2 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -target bpfel,bpfeb Fast fast.bpf.c -- -O2 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -target bpfel,bpfeb -type message -type counter Fleet fleet.bpf.c -- -O2 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -target bpfel,bpfeb Services services.bpf.c -- -O2 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
