// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/* Forwards the datagrams of UDP flows that user space has admitted, between client and origin:
 *
 *   datagram -> entry -> still allowed? -> header -> addresses, checksums -> neighbour
 *
 * User space decides about flows. Whatever is not plain is passed up untouched, and user space
 * serves it like any datagram: fragments, IP options, extension headers, what is too long for the
 * way out, what has no entry, what has one of an older generation.
 *
 * It runs at the ingress of every device with packets of clients or origins, before the packet
 * filter and connection tracking. It loads without CAP_PERFMON: see steer.bpf.c.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "headers.h"
#include "fast.h"
#include "fast_packet.h"
#include "fast_route.h"
#include "fast_usage.h"
#include "fast_rewrite.h"
#include "fast_header.h"
#include "fast_error.h"

/* A train is cut into datagrams of gso_size bytes on its way out. It can't get a header for each, and
 * would be no train any more if its frame was cut. */
static __always_inline int fits(struct __sk_buff *skb, const struct packet *p, const struct route *r, const struct flow_usage *u)
{
	__u32 payload = p->payload + size_of(r->puts, p->v4) - size_of(r->takes, p->v4);

	if (skb->gso_size) {
		if (r->puts || r->takes || skb->len != PAYLOAD_AT(p) + p->payload)
			return 0;
		payload = skb->gso_size;
	}
	payload += p->ip + sizeof(struct udphdr);
	return payload <= r->mtu && (!u->mtu || payload <= u->mtu);
}

/* The frame becomes as long as the datagram: without the header that was cut off, and without what
 * Ethernet has added. */
static __always_inline int cut_frame(struct __sk_buff *skb, __u32 size)
{
	return skb->len == size || bpf_skb_change_tail(skb, size, 0) == 0;
}

static __always_inline int forward(struct __sk_buff *skb, const struct packet *p, const struct route *r)
{
	__u32 payload = p->payload + size_of(r->puts, p->v4) - size_of(r->takes, p->v4);
	__u32 length = sizeof(struct udphdr) + payload;
	__u64 changed, sum = 0;

	if (r->puts && !put_header(skb, p, r->puts, &sum))
		return TC_ACT_UNSPEC;
	if (r->takes && !take_header(skb, p, r, &sum))
		return TC_ACT_UNSPEC;
	if (!cut_frame(skb, PAYLOAD_AT(p) + payload))
		return r->takes ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	changed = change_of_addresses(&p->key, &r->to, p->v4);
	write_checksum(skb, p, &r->to, length, changed, sum);
	if (!(p->v4 ? write_v4(skb, &r->to, length, changed) : write_v6(skb, &r->to, length)))
		return TC_ACT_SHOT;
	/* Without a neighbour the kernel looks for a route: only then it tells this host, by an ICMP error, that
	 * the neighbour is gone. */
	return bpf_redirect_neigh(r->device, NULL, 0, 0);
}

SEC("tc")
int forward_admitted(struct __sk_buff *skb)
{
	struct packet p = {};
	struct route r = {};
	struct flow_usage *u;
	__u32 packets = 1;
	__u64 now;
	int verdict;

	if (!read_packet(skb, &p)) {
		note_error(skb);
		return TC_ACT_UNSPEC;
	}
	if (!find_route(skb, &p, &r) || !in_force(&r))
		return TC_ACT_UNSPEC;
	u = usage_of(r.id, r.to_client);
	if (!u || u->id != r.id)
		return TC_ACT_UNSPEC;
	now = clock();
	if (is_over(u, &r, now) || !fits(skb, &p, &r, u))
		return TC_ACT_UNSPEC;
	if (skb->gso_size)
		packets = skb->gso_segs;
	verdict = forward(skb, &p, &r);
	if (verdict == TC_ACT_REDIRECT)
		count(u, &r, now, packets, p.payload - size_of(r.takes, p.v4));
	return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
