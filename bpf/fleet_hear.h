/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Learns from what peers say. */

/* A peer must say twice that it does not have a conn, this time apart: the kernel may for a moment find
 * neither of two sockets of which one takes the other's place. The time of the first question would not do:
 * the answers to that may have been lost. */
#define DENY_AGAIN (SECOND / 2)

/* Notes that a peer does not have a conn which is asked for. Of two peers at once, one may have to say so
 * again. */
static __always_inline void note_denial(const struct outer *o, const struct packet *p)
{
	struct question *q = bpf_map_lookup_elem(&fleet_questions, &p->conn);
	const struct peer *peer = bpf_map_lookup_elem(&fleet_peers, o->from);
	__u64 bit, now = bpf_ktime_get_ns();

	if (!q || !peer)
		return;
	bit = 1ULL << (peer->bit & 63);
	if (!(q->denied & bit)) {
		q->denied |= bit;
		q->said = now;
	} else if ((__s64)(now - q->said) >= (__s64)DENY_AGAIN) { /* another CPU's clock may be ahead */
		q->denied_again |= bit;
	}
}

static __always_inline void note_heard(const struct outer *o, const struct packet *p)
{
	struct heard *h = bpf_map_lookup_elem(&fleet_heard, o->from);

	if (!h)
		return;
	h->at = bpf_ktime_get_ns();
	if (o->header.kind == GONE && !p->conn.dst_port)
		h->answered = h->at;
}

/* Learns what a peer says about a conn, also while no process runs. The rest is for user space. */
static __always_inline int hear(const struct outer *o, const struct packet *p)
{
	const __u32 *who;
	__u32 differ;

	note_heard(o, p);
	if (o->header.kind == MINE) {
		bpf_map_update_elem(&fleet_learnt, &p->conn, o->from, BPF_ANY);
		bpf_map_delete_elem(&fleet_questions, &p->conn);
		count(COUNT_LEARNT);
		return TC_ACT_SHOT;
	}
	if (o->header.kind != GONE)
		return TC_ACT_UNSPEC;
	note_denial(o, p);
	who = bpf_map_lookup_elem(&fleet_learnt, &p->conn);
	if (!who)
		return TC_ACT_SHOT;
#define OF_ANOTHER(i) (who[i] ^ o->from[i])
	differ = OF_ANOTHER(0) | OF_ANOTHER(1) | OF_ANOTHER(2) | OF_ANOTHER(3);
	if (!differ) { /* else another peer has said meanwhile that the conn is its */
		bpf_map_delete_elem(&fleet_learnt, &p->conn);
		count(COUNT_GONE);
	}
	return TC_ACT_SHOT;
}
