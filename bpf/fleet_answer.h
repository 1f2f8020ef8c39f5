/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What the asker is told about a conn: that it is here, by user space, or that it is not, by the program. */

static __always_inline int tell(enum message kind, const struct outer *o, const struct packet *p)
{
	struct event e = { .kind = kind, .conn = p->conn };

	__builtin_memcpy(e.peer, o->from, sizeof(e.peer));
	if (bpf_ringbuf_output(&fleet_events, &e, sizeof(e), 0) == 0)
		return 1;
	count(COUNT_UNTOLD);
	return 0;
}

/* Has the asker told that the conn is here, and told again if it still asks after a second. */
static __always_inline void answer(const struct outer *o, const struct packet *p)
{
	const struct answer *last = bpf_map_lookup_elem(&fleet_answers, &p->conn);
	struct answer a = { .at = bpf_ktime_get_ns() };
	__u32 differ = 1;

#define ANOTHER(i) (last->peer[i] ^ o->from[i])
	if (last)
		differ = ANOTHER(0) | ANOTHER(1) | ANOTHER(2) | ANOTHER(3);
	if (last && !differ && a.at - last->at < SECOND)
		return;
	__builtin_memcpy(a.peer, o->from, sizeof(a.peer));
	if (tell(MINE, o, p))
		bpf_map_update_elem(&fleet_answers, &p->conn, &a, BPF_ANY);
}

/* Sends the packet back as the message that the conn is not here. What follows the message says nothing: it is
 * the rest of the packet's headers, where the kernel may still have to write a checksum. It does not cut off the
 * payload of a packet from a host in this kernel, which is known to be wrapped. */
static __always_inline int deny(struct __sk_buff *skb, const struct outer *o, const struct packet *p, const struct backplane *b)
{
	struct sending s = { .skb = skb, .b = b, .kind = GONE };
	__u32 headers = p->v4 ? p->ip4.ihl * 4 + sizeof(p->tcp) : sizeof(p->ip6) + sizeof(p->tcp);
	struct peer to = {};
	struct sealed sealed;

	set_sealed(&sealed, GONE, 0, &p->conn, b->local);
	s.tag = seal(&sealed, b);
	__builtin_memcpy(to.addr, o->from, sizeof(to.addr));
	bpf_skb_change_tail(skb, o->inner + headers, 0);
	if (!without_tag(skb) || !load(skb, ETH_ALEN, to.mac, sizeof(to.mac)) || bpf_skb_store_bytes(skb, o->inner, &p->conn, sizeof(p->conn), 0)) {
		count(COUNT_UNSENT);
		return TC_ACT_SHOT;
	}
	s.inner = skb->len - o->inner;
	if (b->v6)
		send_v6(&s, &to);
	else
		send_v4(&s, &to);
	return TC_ACT_SHOT;
}
