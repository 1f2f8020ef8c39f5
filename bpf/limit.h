/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Limits are token buckets that hold one second's worth, kept as GCRA: one word says
 * when the bucket is full again, and that must not be later than in a second. It is
 * under a spin lock (since Linux 5.1), for atomics that return are newer than sk_lookup
 * (5.12). */

#define SECOND 1000000000ULL

/* Beside that second's worth the bucket has a reserve, another second's worth, so that a
 * flood from some networks does not spend what clients of other networks need. How deep a
 * client may reach into the reserve depends on what its network has taken lately: down to
 * the end if that is nothing, about half if it is an eighth of a second's worth, and not
 * at all from a second's worth on. So a network that is alone gets the whole rate and no
 * more, and of networks that all want more than there is, each gets about the same.
 *
 * What a network has taken is halved every 2^32 ns. A network that is not in the map
 * begins with a little instead of nothing: networks that are in the map reach deeper than
 * a flood with random source addresses. */
#define HALVING 32
#define SHARE (SECOND / 8)
#define NEWCOMER (SECOND / 32)

/* An admitted tuple is looked at again: SYN cookies show a conn's SYN, the SYN again
 * when its answer got lost, and the ACK that completes the handshake, for which Linux
 * waits 63 s (tcp_synack_retries = 5); and every datagram of a flow comes here. These
 * looks are free. Of a handshake they are counted, or one token would let a client
 * begin from the same port again and again.
 *
 * A segment of a conn that is over is looked at too, and nothing tells it from a SYN:
 * it may cost a token. */
#define HANDSHAKE (64 * SECOND)
#define HANDSHAKE_LOOKS 8

struct bucket {
	struct bpf_spin_lock lock;
	__u64 full; /* when it is, by bpf_ktime_get_ns */
};

/* By binding.number, from one generation to the next. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* user space */
	__type(key, struct tuple);
	__type(value, struct admission);
} admitted SEC(".maps");

/* When the bucket of each dst is full again. It has no lock of its own, for an LRU hash
 * can't hold one: the route's will do. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct dst);
	__type(value, __u64);
} budgets SEC(".maps");

/* Likewise from one generation to the next. Only what was admitted makes an entry, so
 * that a flood pushes others out no faster than the routes' rates let it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, struct network);
	__type(value, struct use);
} networks SEC(".maps");

/* From the last field to the first, and volatile keeps that order: without CAP_PERFMON Linux 5.10
 * to 6.1 refuse a write to the second half of eight bytes after one to their first half. */
static __always_inline void set_network(volatile struct network *n, const struct binding *b, const struct packet *p, enum kind kind)
{
	__u32 first = p->client[0], second = p->client[1];

	if (p->family == AF_INET) {
		first = bpf_htonl(0xffff);
		second = p->client[3];
	}
	n->addr[1] = second & bpf_htonl(0xffffff00);
	n->addr[0] = first;
	n->kind = kind;
	n->number = b->number;
}

/* What a network has taken until now. */
static __always_inline __u64 used(const struct use *use, __u64 now)
{
	__u64 halvings = (now >> HALVING) - use->epoch;

	return halvings < 64 ? use->ns >> halvings : 0;
}

/* How deep into the reserve a network may reach that has used so much, in ns. One more
 * spacing makes the reserve worth a token at the lowest rates, too. */
static __always_inline __u64 reserve(__u64 used, __u64 spacing)
{
	if (used >= SECOND)
		return 0;
	return (SECOND - used) * SHARE / (SHARE + used) + spacing;
}

/* Takes a token from the bucket that is full again at *full, for a network that has used so
 * much, and puts into *after what it has used then. */
static __always_inline int draw(struct bucket *b, __u64 *full, __u64 used, struct use *after, __u64 now, __u64 spacing)
{
	__u64 next, last = now + SECOND + reserve(used, spacing);
	int taken = 0;

	bpf_spin_lock(&b->lock);
	next = (*full > now ? *full : now) + spacing;
	if (next <= last) {
		*full = next;
		taken = 1;
	}
	bpf_spin_unlock(&b->lock);
	*after = (struct use){ used + spacing, now >> HALVING };
	return taken;
}

/* Takes a token for k->network and notes that; a lost update is a token less noted. The
 * two cases share no code, for then `use` would be looked at twice: in speculation it is
 * NULL the second time, which Linux 6.1 refuses without CAP_PERFMON. */
static __always_inline int take(struct bucket *b, __u64 *full, struct keys *k, __u64 now, __u64 spacing)
{
	struct use *use = bpf_map_lookup_elem(&networks, &k->network);

	if (use) {
		if (!draw(b, full, used(use, now), &k->use, now, spacing))
			return 0;
		*use = k->use;
		return 1;
	}
	if (!draw(b, full, NEWCOMER, &k->use, now, spacing))
		return 0;
	bpf_map_update_elem(&networks, &k->network, &k->use, BPF_NOEXIST);
	return 1;
}

/* Where a new dst finds no room, its datagrams are admitted. */
static __always_inline int within_budget(struct bucket *bucket, const struct binding *b, const struct packet *p, struct keys *k, __u64 now)
{
	__u64 *full;

	k->dst = (struct dst){ b->number, { p->dst[0], p->dst[1], p->dst[2], p->dst[3] } };
	full = bpf_map_lookup_elem(&budgets, &k->dst);
	if (full) {
		set_network(&k->network, b, p, DATAGRAMS);
		return take(bucket, full, k, now, b->datagrams);
	}
	k->full = now + b->datagrams;
	bpf_map_update_elem(&budgets, &k->dst, &k->full, BPF_NOEXIST);
	return 1;
}

/* Whether this look is free. */
static __always_inline int again(const struct binding *b, const struct keys *k, __u64 now)
{
	struct admission *a = bpf_map_lookup_elem(&admitted, &k->tuple);

	if (!a || now >= a->until)
		return 0;
	if (k->tuple.protocol == IPPROTO_UDP) {
		a->until = now + b->flow_idle;
		return 1;
	}
	return a->looks++ < HANDSHAKE_LOOKS; /* a lost update is a look more */
}

static __always_inline int admit(struct bucket *bucket, const struct binding *b, const struct packet *p, struct keys *k, __u64 now)
{
	k->tuple = (struct tuple){
		{ p->client[0], p->client[1], p->client[2], p->client[3] },
		{ p->dst[0], p->dst[1], p->dst[2], p->dst[3] },
		p->protocol, p->client_port, p->port,
	};
	if (again(b, k, now))
		return 1;
	set_network(&k->network, b, p, CONNS);
	if (!take(bucket, &bucket->full, k, now, b->new_conns))
		return 0;
	k->admission = (struct admission){ now + (p->protocol == IPPROTO_UDP ? b->flow_idle : HANDSHAKE), 0 };
	bpf_map_update_elem(&admitted, &k->tuple, &k->admission, BPF_ANY);
	return 1;
}

/* The verdict that is counted, and what becomes of the packet. */
struct ruling {
	enum verdict verdict;
	enum verdict fate;
	enum reason reason; /* for trace.h only: else clang leaves it out */
};

/* Too many conns are refused: without an answer a client sends the SYN again. Too many
 * datagrams are dropped: their errors would be a flood of their own. */
static __always_inline struct ruling limit(const struct binding *b, const struct packet *p, struct keys *k)
{
	struct bucket *bucket;
	__u64 now;

	if (!b->new_conns && !b->datagrams)
		return (struct ruling){ STEER, STEER, BY_ROUTE };
	k->index = b->number;
	bucket = bpf_map_lookup_elem(&buckets, &k->index);
	if (!bucket)
		return (struct ruling){ REFUSE, REFUSE, BY_ROUTE };
	now = bpf_ktime_get_ns();
	if (p->protocol == IPPROTO_UDP && b->datagrams && !within_budget(bucket, b, p, k, now))
		return (struct ruling){ LIMIT, DROP, DATAGRAM_RATE };
	if (b->new_conns && !admit(bucket, b, p, k, now))
		return (struct ruling){ LIMIT, REFUSE, CONN_RATE };
	return (struct ruling){ STEER, STEER, BY_ROUTE };
}
