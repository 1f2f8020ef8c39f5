/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Routes with `knock` admit a client only while a door is open to it. A door is opened by
 * user space, for an authenticated datagram, or by a sequence of knocks: see knock.h. */

/* The open doors, each with its end by bpf_ktime_get_boot_ns: that clock goes on while the
 * host is suspended. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct door);
	__type(value, __u64);
} doors SEC(".maps");

/* Marks the tuples in `admitted` of flows that came through a door, apart from those that
 * took a token. */
#define THROUGH_DOOR 0x100

struct knock_setup {
	__u64 secret; /* user space draws it once */
	__u64 now;    /* instead of the clock, if not 0: only tests set it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct knock_setup);
} knock_setup SEC(".maps");

static __always_inline __u64 knock_time(const struct knock_setup *setup)
{
	return setup->now ? setup->now : bpf_ktime_get_boot_ns();
}

static __always_inline int has_door(const struct binding *b, const struct packet *p, struct keys *k)
{
	const struct knock_setup *setup;
	const __u64 *until;

	k->door = (struct door){ b->door, { p->client[0], p->client[1], p->client[2], p->client[3] } };
	until = bpf_map_lookup_elem(&doors, &k->door);
	if (!until)
		return 0;
	k->until = *until;
	k->index = 0;
	setup = bpf_map_lookup_elem(&knock_setup, &k->index);
	return setup && knock_time(setup) < k->until;
}

/* Whether a packet may go on to its route. The datagrams of a flow all come here, so a flow
 * that began through a door is remembered until it is idle. */
static __always_inline int passes_door(const struct binding *b, const struct packet *p, struct keys *k)
{
	struct admission *a;
	__u64 now;
	int open = has_door(b, p, k);

	if (p->protocol != IPPROTO_UDP || p->question)
		return open;
	now = bpf_ktime_get_ns();
	k->tuple = (struct tuple){
		{ p->client[0], p->client[1], p->client[2], p->client[3] },
		{ p->dst[0], p->dst[1], p->dst[2], p->dst[3] },
		IPPROTO_UDP | THROUGH_DOOR, p->client_port, p->port,
	};
	a = bpf_map_lookup_elem(&admitted, &k->tuple);
	if (a && now < a->until) {
		a->until = now + b->flow_idle;
		return 1;
	}
	if (!open)
		return 0;
	k->admission = (struct admission){ now + b->flow_idle, 0 };
	bpf_map_update_elem(&admitted, &k->tuple, &k->admission, BPF_ANY);
	return 1;
}

/* Authenticated datagrams cost user space a hash, so more than the rate end here. Each network
 * has its share, as limit.h says; no look is free. */
static __always_inline struct ruling limit_knocks(const struct binding *b, const struct packet *p, struct keys *k)
{
	struct bucket *bucket;

	k->index = b->number;
	bucket = bpf_map_lookup_elem(&buckets, &k->index);
	set_network(&k->network, b, p, CONNS);
	if (!bucket || !take(bucket, &bucket->full, k, bpf_ktime_get_ns(), b->new_conns))
		return (struct ruling){ LIMIT, DROP, KNOCK_RATE };
	return (struct ruling){ STEER, STEER, BY_ROUTE };
}

/* The nonces of authenticated datagrams that were accepted, with the second they were made:
 * each opens a door once. User space fills and reads it; here it lies so that it is pinned,
 * and handed over, with the other maps. Of the key that is zero the value is the floor: what
 * was made in that second or before is refused, for its nonce may be forgotten. */
struct knock_nonce {
	__u8 bytes[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct knock_nonce);
	__type(value, __u64);
} knock_nonces SEC(".maps");
