// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/* Conns that survive when routers send their packets to another host of the fleet. Two programs at tc
 * ingress:
 *
 *   ask_peers   (devices of clients)  TCP without SYN -> served? -> a socket here? -> wrapped -> peers
 *   take_asked  (the backplane)       wrapped -> of a peer? -> a socket here? -> unwrapped -> the stack
 *
 * No host knows the conns of another. Who gets a packet of a conn that it does not have asks all peers,
 * by sending each a copy. The peer that has the conn takes it, and answers the client directly. User space
 * then tells the asker who has the conn ("mine"), so that later packets go straight there. The others answer
 * that they do not have it ("gone"), from here, because it must not depend on whether a process runs. When all
 * have said so twice, the asker's kernel gets the packet, and resets the conn: its host has died.
 *
 * UDP flows: user space asks, since it has the flows, and holds the datagram meanwhile. Of a flow that a
 * peer has, ask_peers sends the later datagrams straight there.
 *
 * Wrapped means: outer IP header, UDP header, struct header, and the packet from its IP header on.
 * The UDP checksum is 0, over IPv6, too (RFC 6935): the packet inside has its own, and no socket gets
 * the outer one.
 *
 * It loads without CAP_PERFMON: see steer.bpf.c. Needs Linux 5.17, for bpf_loop.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "prefixes.h"
#include "headers.h"
#include "probes.h"
#include "fleet.h"
#include "fleet_maps.h"
#include "siphash.h"
#include "fleet_packet.h"
#include "fleet_socket.h"
#include "fleet_question.h"
#include "fleet_outer.h"
#include "fleet_send.h"
#include "fleet_unwrap.h"
#include "fleet_answer.h"
#include "fleet_hear.h"

/* The peer that has the UDP flow, as far as user space knows. */
static __always_inline const struct peer *flow_owner(const struct packet *p)
{
	struct moved *m = bpf_map_lookup_elem(&fleet_moved, &p->conn);
	const struct peer *to;
	__u64 now;

	if (!m)
		return NULL;
	now = bpf_ktime_get_ns();
	if (now > m->last + m->idle)
		return NULL;
	to = bpf_map_lookup_elem(&fleet_peers, m->peer);
	if (!to || !to->alive || !is_served(p->conn.dst, p->v4))
		return NULL;
	if (!p->error)
		m->last = now;
	return to;
}

SEC("tc")
int ask_peers(struct __sk_buff *skb)
{
	struct packet p = {};
	const struct backplane *b;
	const struct peer *to;
	const __u32 *who;
	enum counter why;
	__u32 zero = 0;
	__u64 now;
	int ok = 0;

	if (!is_for_device(skb))
		return TC_ACT_UNSPEC;
	b = bpf_map_lookup_elem(&fleet_backplane, &zero);
	if (!b || !b->asked)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		ok = read_v4(skb, ETH_HLEN, &p);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		ok = read_v6(skb, ETH_HLEN, &p);
	if (!ok)
		return TC_ACT_UNSPEC;
	if (p.udp) {
		to = flow_owner(&p);
		return to ? forward(skb, &p, b, FLOW, to) : TC_ACT_UNSPEC;
	}
	if (!is_served(p.conn.dst, p.v4))
		return TC_ACT_UNSPEC;
	if (p.syn) { /* a new conn: what was learnt is about an older one */
		bpf_map_delete_elem(&fleet_learnt, &p.conn);
		bpf_map_delete_elem(&fleet_questions, &p.conn);
		return TC_ACT_UNSPEC;
	}
	who = bpf_map_lookup_elem(&fleet_learnt, &p.conn);
	to = who ? bpf_map_lookup_elem(&fleet_peers, who) : NULL;
	if (to && to->alive && to->alive != QUIET)
		return forward(skb, &p, b, STRAIGHT, to);
	if (is_here(skb, &p))
		return TC_ACT_UNSPEC;
	now = bpf_ktime_get_ns();
	if (!may_ask(&p, b, now)) {
		count(COUNT_SHED);
		return TC_ACT_UNSPEC;
	}
	why = give_up(&p, b, now);
	if (why != COUNTERS) {
		count(why);
		return TC_ACT_UNSPEC;
	}
	return forward(skb, &p, b, ASK, NULL);
}

SEC("tc")
int take_asked(struct __sk_buff *skb)
{
	struct packet p = {};
	struct outer o = {};
	const struct backplane *b;
	__u32 zero = 0;
	int ok = 0;

	if (!is_for_device(skb))
		return TC_ACT_UNSPEC;
	b = bpf_map_lookup_elem(&fleet_backplane, &zero);
	if (!b)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP) && !b->v6)
		ok = read_outer_v4(skb, b, &o);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6) && b->v6)
		ok = read_outer_v6(skb, b, &o);
	if (!ok)
		return TC_ACT_UNSPEC;
	if (!read_sealed(skb, &o, &p) || !is_proven(&o, &p, b)) {
		count(COUNT_FORGED);
		return TC_ACT_SHOT;
	}
	if (!is_wrapped(&o))
		return hear(&o, &p);
	if (!p.udp && !p.conn.dst_port) /* about no conn: to hear of this kernel */
		return deny(skb, &o, &p, b);
	if (p.udp)
		ok = bpf_map_lookup_elem(&fleet_flows, &p.conn) != NULL;
	else
		ok = !p.syn && is_here(skb, &p);
	if (ok && is_served(p.conn.dst, p.v4)) {
		if (o.header.kind == ASK)
			answer(&o, &p);
		return unwrap(skb, &p, b);
	}
	count(COUNT_FOREIGN);
	if (p.udp)
		tell(LACK, &o, &p);
	else if (!ok || o.header.kind == STRAIGHT)
		return deny(skb, &o, &p, b);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
