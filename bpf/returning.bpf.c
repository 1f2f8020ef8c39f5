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

#include "headers.h"
#include "prefixes.h"
#include "returning_packet.h"

/* As in package bpf/mark. They differ: the routing rule is also asked about what a socket
 * sends, by the socket's mark. */
enum mark {
	PACKET_MARK = 0xa9a9,
	SOCKET_MARK = 0xa9aa,
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
