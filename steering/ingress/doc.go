// Package ingress attaches programs to the tc ingress of network devices, by the links of TCX (Linux
// 6.6), and says which devices are fit for programs that read and write Ethernet frames. The fast path
// and the fleet use it.
package ingress
