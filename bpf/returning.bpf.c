// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/* Marks what origins send to the clients of routes with `transparent`. Such a packet is
 * addressed to a client, so the kernel would forward or drop it; a routing rule for the
 * mark has it delivered to this host, where the socket is that dialled the origin from
 * the client's address.
 *
 * A packet is marked if a socket of ours takes it and for no other reason: what an origin
 * sends to others through this host is forwarded as before. "Of ours" is the mark on the
 * socket (SO_MARK).
 *
 * It runs at tc ingress of every interface, and never decides about a packet: other
 * filters follow.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "prefixes.h"

/* As in package bpf/mark. They differ: the routing rule is also asked about what a socket
 * sends, by the socket's mark. */
enum mark {
	PACKET_MARK = 0xa9a9,
	SOCKET_MARK = 0xa9aa,
};

#define IP_OFFSET 0x1fff /* of the 16 bits of frag_off, in host byte order */
#define IP_MF 0x2000

/* Of RFC 792 and RFC 4443: linux/icmp.h needs a C library for the bpf target. Both headers are
 * as long. */
enum icmp { DEST_UNREACH = 3, TIME_EXCEEDED = 11, PARAMETER_PROBLEM = 12, V6_INFORMATIONAL = 128 };
#define ICMP_HEADER 8

struct fragment_header { /* RFC 8200 section 4.5 */
	__u8 next;
	__u8 reserved;
	__be16 offset; /* in the upper 13 bits, which count 8 bytes; the last bit: more follow */
	__be32 id;
};

struct ports {
	__be16 src;
	__be16 dst;
};

struct packet {
	__u32 v4;
	__u32 protocol;
	__u32 payload;	/* its offset from the IP header */
	__u32 src[4];	/* IPv4 in the last word, network byte order */
	__u32 dst[4];
	__u32 fragment; /* it is one */
	__u32 offset;	/* of the fragment; only the first has ports */
	__u32 id;
	struct ports ports;
};

/* Datagrams whose first fragment was marked: the others have no ports. Fragments that
 * overtake the first are not marked. */
struct datagram {
	__u32 src[4];
	__u32 dst[4];
	__u32 protocol;
	__u32 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, struct datagram);
	__type(value, __u64); /* when the first came, by bpf_ktime_get_ns */
} fragmented SEC(".maps");

/* An id is used again: by a host that sends 10,000 datagrams a second after 6 seconds (16 bits). */
#define FRAGMENTS_NS 3000000000ULL

/* The place of an IP header counts from the network header, so that a link layer does not
 * matter (Linux 4.18). */
static __always_inline int load(struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
	return bpf_skb_load_bytes_relative(skb, at, to, size, BPF_HDR_START_NET) == 0;
}

static __always_inline int read_v4(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct iphdr ip = {};
	__u32 fragment;

	if (!load(skb, at, &ip, sizeof(ip)))
		return 0;
	fragment = bpf_ntohs(ip.frag_off);
	p->v4 = 1;
	p->protocol = ip.protocol;
	p->payload = at + ip.ihl * 4;
	p->src[0] = p->src[1] = p->src[2] = p->dst[0] = p->dst[1] = p->dst[2] = 0;
	p->src[3] = ip.saddr;
	p->dst[3] = ip.daddr;
	p->fragment = fragment & (IP_MF | IP_OFFSET);
	p->offset = fragment & IP_OFFSET;
	p->id = ip.id;
	return 1;
}

/* Of the extension headers only that of a fragment is read. */
static __always_inline int read_v6(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct ipv6hdr ip = {};
	struct fragment_header f = {};

	if (!load(skb, at, &ip, sizeof(ip)))
		return 0;
	p->v4 = 0;
	p->protocol = ip.nexthdr;
	p->payload = at + sizeof(ip);
	__builtin_memcpy(p->src, &ip.saddr, sizeof(p->src));
	__builtin_memcpy(p->dst, &ip.daddr, sizeof(p->dst));
	p->fragment = p->offset = 0;
	if (ip.nexthdr != IPPROTO_FRAGMENT)
		return 1;
	if (!load(skb, at + sizeof(ip), &f, sizeof(f)))
		return 0;
	p->protocol = f.next;
	p->payload += sizeof(f);
	p->fragment = 1;
	p->offset = bpf_ntohs(f.offset) >> 3;
	p->id = f.id;
	return 1;
}

static __always_inline int read_ports(struct __sk_buff *skb, struct packet *p)
{
	return load(skb, p->payload, &p->ports, sizeof(p->ports));
}

/* An ICMP error quotes the packet that it is about: what this host has sent. p becomes the
 * answer to that. */
static __always_inline int read_error(struct __sk_buff *skb, struct packet *p)
{
	__u32 addr, quoted = p->payload + ICMP_HEADER;
	struct ports ports;
	__u8 type = 0;
	int ok;

	if (!load(skb, p->payload, &type, sizeof(type)))
		return 0;
	if (p->v4) {
		if (type != DEST_UNREACH && type != TIME_EXCEEDED && type != PARAMETER_PROBLEM)
			return 0;
		ok = read_v4(skb, quoted, p);
	} else {
		if (type >= V6_INFORMATIONAL)
			return 0;
		ok = read_v6(skb, quoted, p);
	}
	if (!ok || p->offset || !read_ports(skb, p))
		return 0;
	p->fragment = 0;
#define SWAP(i) addr = p->src[i]; p->src[i] = p->dst[i]; p->dst[i] = addr;
	SWAP(0) SWAP(1) SWAP(2) SWAP(3)
	ports = p->ports;
	p->ports = (struct ports){ ports.dst, ports.src };
	return 1;
}

/* A socket in TIME_WAIT has no mark that can be read: it has no owner any more, and this
 * host's own get the same packets with a mark as without. */
static __always_inline int take_tcp(struct bpf_sock *sk)
{
	struct bpf_sock *full;
	int ours;

	if (!sk)
		return 0;
	ours = sk->state == BPF_TCP_TIME_WAIT;
	if (!ours) {
		full = bpf_sk_fullsock(sk);
		ours = full && full->mark == SOCKET_MARK;
	}
	bpf_sk_release(sk);
	return ours;
}

static __always_inline int take_udp(struct bpf_sock *sk)
{
	int ours;

	if (!sk)
		return 0;
	ours = sk->mark == SOCKET_MARK;
	bpf_sk_release(sk);
	return ours;
}

static __always_inline int has_socket(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock_tuple t = {};

	if (p->v4) {
		t.ipv4.saddr = p->src[3];
		t.ipv4.daddr = p->dst[3];
		t.ipv4.sport = p->ports.src;
		t.ipv4.dport = p->ports.dst;
		if (p->protocol == IPPROTO_TCP)
			return take_tcp(bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0));
		return take_udp(bpf_sk_lookup_udp(skb, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0));
	}
	__builtin_memcpy(t.ipv6.saddr, p->src, sizeof(p->src));
	__builtin_memcpy(t.ipv6.daddr, p->dst, sizeof(p->dst));
	t.ipv6.sport = p->ports.src;
	t.ipv6.dport = p->ports.dst;
	if (p->protocol == IPPROTO_TCP)
		return take_tcp(bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0));
	return take_udp(bpf_sk_lookup_udp(skb, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0));
}

static __always_inline int first_was_marked(const struct datagram *d)
{
	const __u64 *at = bpf_map_lookup_elem(&fragmented, d);

	return at && bpf_ktime_get_ns() - *at < FRAGMENTS_NS;
}

static __always_inline int is_returning(struct __sk_buff *skb, struct packet *p)
{
	struct datagram d = {};
	__u64 now;

	/* A packet of a client: no socket of ours is looked for. Where none is connected, the lookup would
	 * run the steering program, which counts. */
	if (is_served(p->dst, p->v4))
		return 0;
	__builtin_memcpy(d.src, p->src, sizeof(d.src));
	__builtin_memcpy(d.dst, p->dst, sizeof(d.dst));
	d.protocol = p->protocol;
	d.id = p->id;
	if (p->fragment && p->offset)
		return first_was_marked(&d);
	if (p->protocol == (p->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		if (!read_error(skb, p))
			return 0;
	} else if (!read_ports(skb, p)) {
		return 0;
	}
	if ((p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP) || !has_socket(skb, p))
		return 0;
	if (p->fragment) {
		now = bpf_ktime_get_ns();
		bpf_map_update_elem(&fragmented, &d, &now, BPF_ANY);
	}
	return 1;
}

SEC("tc")
int mark_returning(struct __sk_buff *skb)
{
	struct packet p = {};
	int ok = 0;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		ok = read_v4(skb, 0, &p);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		ok = read_v6(skb, 0, &p);
	if (ok && is_returning(skb, &p))
		skb->mark = PACKET_MARK;
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
