// Package obstacle finds what would be bypassed if the kernel forwarded datagrams before the packet
// filter: rules of nftables and iptables, policies of IPsec, other programs and filters at the ingress
// of a device; and routing rules by which the way of a datagram depends on its ports. Where there is
// any, the fast path is off, because an operator has asked for something that it would not do.
//
// Datagrams that user space forwards are delivered and sent by this host, so its chains of the hook
// forward never see them: what stands there is not an obstacle.
//
//	obstacle.go  what an obstacle is, and which devices it concerns
//	nft.go       which rules of nftables may concern datagrams; pure
//	nft_read.go  reads them by netlink
//	iptables.go  the tables of iptables-legacy
//	ipsec.go     the policies of IPsec
//	routing.go   routing rules that select by more than addresses
//	ingress.go   what else runs at the ingress of a device
package obstacle
