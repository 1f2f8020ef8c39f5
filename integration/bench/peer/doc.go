// Package peer deploys the proxies that the benchmarks compare, each as its own
// documentation would have it serve every port of a prefix.
//
//	peer.go                      the list of peers, and what a deployment is
//	anyport.go, haproxy.go, nginx.go   programs, each with its file
//	goproxy.go, goproxy_udp.go   a proxy that works like most proxies written in Go
//	netfilter.go                 TPROXY, REDIRECT and DNAT, which bring the packets to them
//	steer.go                     an SK_LOOKUP program of a few instructions, for HAProxy
package peer
