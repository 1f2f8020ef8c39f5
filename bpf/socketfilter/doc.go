// Package socketfilter attaches classic BPF filters to sockets, SO_ATTACH_FILTER of
// socket(7). Such a filter judges each packet before it is queued, needs no capability, and
// has nothing to do with the steering program. It is a package of its own, without cilium/ebpf,
// because both proxy and steering need it, and these two do not import each other.
package socketfilter
