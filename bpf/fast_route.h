/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What becomes of a datagram: the entry that decides about it, and whether that is still in force. */

struct route {
	struct flow_key to;
	__u32 device;
	__u32 mtu;
	__u32 puts;  /* enum flow_header */
	__u32 takes; /* the same */
	__u32 to_client; /* which counters */
	__u32 generation;
	__u64 id;
	__u64 idle;
	__u64 until;
};

/* The id is read first: see still. */
static __always_inline void read_limits(const struct flow_entry *f, struct route *r)
{
	r->id = f->id;
	asm volatile("" ::: "memory");
	r->generation = f->generation;
	r->idle = f->idle;
	r->until = f->until;
}

/* Whether f has been the entry of this key, for one flow, all the while that r was read: another may take
 * its place at any time, for user space deletes entries, and the kernel uses the memory again. */
static __always_inline int still(const struct flow_entry *f, const struct flow_key *key, const struct route *r)
{
	asm volatile("" ::: "memory");
	return f->own == tag_of(key) && f->id == r->id;
}

/* The route of a datagram by its entry. */
static __always_inline int follow(const struct flow_entry *f, const struct packet *p, struct route *r)
{
	read_limits(f, r);
	r->to = f->to;
	r->device = f->out;
	r->mtu = f->out_mtu;
	r->puts = f->puts;
	r->takes = f->takes;
	r->to_client = f->to_client;
	return still(f, &p->key, r);
}

/* The route of an answer by the entry of the client's datagrams, which the answer's header names. */
static __always_inline int follow_back(const struct flow_entry *f, const struct packet *p, const struct flow_key *named, struct route *r)
{
	struct flow_key expected;
	__u32 puts;

	read_limits(f, r);
	reverse(&r->to, named);
	reverse(&expected, &f->to);
	puts = f->puts;
	r->device = f->in;
	r->mtu = f->in_mtu;
	r->puts = NO_HEADER;
	r->takes = HEADER_SPP;
	r->to_client = 1;
	return puts == HEADER_SPP && equal(&expected, &p->key) && still(f, named, r);
}

/* The entry of a key. Most hosts have no entry in the large table, and then do not wait for its memory. */
static __always_inline const struct flow_entry *entry_of(const struct flow_key *key)
{
	const struct flow_entry *f = bpf_map_lookup_elem(&fast_flows_few, key);
	__u32 at = FAST_MANY;
	const __u32 *many;

	if (f)
		return f;
	many = bpf_map_lookup_elem(&fast_generation, &at);
	return many && *many ? bpf_map_lookup_elem(&fast_flows, key) : NULL;
}

/* Finds the entry that decides about a datagram. */
static __always_inline int find_route(struct __sk_buff *skb, const struct packet *p, struct route *r)
{
	const struct flow_entry *f = entry_of(&p->key);
	struct flow_key named = {};
	struct spp h = {};

	if (!f)
		return 0;
	if (!f->shared)
		return f->in == skb->ingress_ifindex && follow(f, p, r);
	if (!read_spp(skb, p, &h))
		return 0;
	key_of_spp(&named, &h);
	f = entry_of(&named);
	return f && !f->shared && f->out == skb->ingress_ifindex && follow_back(f, p, &named, r);
}

/* Flows of an older generation, and those whose time is over, are decided about again. */
static __always_inline int in_force(const struct route *r)
{
	__u32 at = FAST_NOW;
	const __u32 *now = bpf_map_lookup_elem(&fast_generation, &at);

	return now && r->generation == *now && (!r->until || bpf_ktime_get_boot_ns() < r->until);
}
