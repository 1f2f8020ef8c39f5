/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Questions to the peers: who may have them asked, and when there are no more about a conn. */

/* A conn is given up only after this number of questions, too: a client may send seldom, and an answer may
 * get lost. */
#define LEAST_QUESTIONS 5

/* Takes a token from the bucket that is full again at *full. Two cores at once may take one for two. */
static __always_inline int take(__u64 *full, __u64 now, __u64 spacing, __u64 burst)
{
	__u64 before = *full, next = (before > now ? before : now) + spacing;

	if (next > now + burst)
		return 0;
	*full = next;
	return 1;
}

/* Bounds what strangers can have the peers look up. An ICMP error counts for who has sent it: else a stranger could
 * use up the questions of the client that it names. */
static __always_inline int may_ask(const struct packet *p, const struct backplane *b, __u64 now)
{
	__u32 source[2] = { p->ip6.saddr.in6_u.u6_addr32[0], p->ip6.saddr.in6_u.u6_addr32[1] }, zero = 0;
	__u64 *all, *own, full = now + b->source_spacing;

	if (p->v4) {
		source[0] = bpf_htonl(0xffff);
		source[1] = p->ip4.saddr;
	}
	own = bpf_map_lookup_elem(&fleet_sources, source);
	if (own && !take(own, now, b->source_spacing, b->source_burst))
		return 0;
	all = bpf_map_lookup_elem(&fleet_bucket, &zero);
	if (!all || !take(all, now, b->spacing, b->burst))
		return 0;
	if (!own) /* only who was asked for gets an entry: a flood pushes others out no faster */
		bpf_map_update_elem(&fleet_sources, source, &full, BPF_NOEXIST);
	return 1;
}

/* Whether what is known of a question is about something else: a later conn of the same ports; a conn whose
 * client gets data from whoever has it; or other peers. */
static __always_inline int is_another(const struct question *q, const struct packet *p, const struct backplane *b, const struct needed *n, __u64 now)
{
	return now - q->first >= 8 * b->patience || q->first < n->since || (!p->error && p->tcp.ack_seq != q->acknowledged);
}

/* Notes one more question about the conn, and says by what there is to be none: COUNT_DENIED, all peers have
 * said that they do not have it; COUNT_GIVEN_UP, nobody has said that he has it, for too long; or COUNTERS. */
static __always_inline enum counter give_up(const struct packet *p, const struct backplane *b, __u64 now)
{
	struct question *q = bpf_map_lookup_elem(&fleet_questions, &p->conn), first = { .first = now, .times = 1, .acknowledged = p->tcp.ack_seq };
	__u32 zero = 0;
	const struct needed *n = bpf_map_lookup_elem(&fleet_needed, &zero);

	if (!n)
		return COUNTERS;
	if (!q || is_another(q, p, b, n, now)) {
		bpf_map_update_elem(&fleet_questions, &p->conn, &first, BPF_ANY);
		return COUNTERS;
	}
	q->times++;
	if (n->bits && now < n->until && (q->denied_again & n->bits) == n->bits)
		return COUNT_DENIED;
	return now - q->first > b->patience && q->times > LEAST_QUESTIONS ? COUNT_GIVEN_UP : COUNTERS;
}
