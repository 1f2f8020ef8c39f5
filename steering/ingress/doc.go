// Package ingress attaches programs to the tc ingress of network devices: by the links of TCX (Linux 6.6),
// and on older kernels by filters of tc in a clsact qdisc. It also says which devices are fit for programs
// that read and write Ethernet frames. The fast path and the fleet use it.
//
//	attachments.go  one program at many devices, in either way
//	links.go        by links of TCX
//	hook.go         what filters run, so that they end with their process
//	filters.go      filters of tc; qdisc.go: what they are in
//	candidates.go   which devices are fit; namespace.go: of which network namespace
package ingress
