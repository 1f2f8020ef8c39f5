/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The walk through the tables, from a dst to its binding. */

/* NULL: no prefix holds dst. */
static __always_inline const struct policy *find_policy(__u32 half, const struct packet *p, struct keys *k)
{
	if (p->family == AF_INET) {
		k->v4 = (struct prefix_v4){ 64, half, p->dst[3] };
		return bpf_map_lookup_elem(&prefixes_v4, &k->v4);
	}
	k->v6 = (struct prefix_v6){ 160, half, { p->dst[0], p->dst[1], p->dst[2], p->dst[3] } };
	return bpf_map_lookup_elem(&prefixes_v6, &k->v6);
}

/* Halves the `count` intervals from `base` on. */
#define HALVE                                                                  \
	if (count > 1) {                                                       \
		k->index = base + count / 2;                                   \
		v = bpf_map_lookup_elem(&intervals, &k->index);                \
		if (!v)                                                        \
			return NULL;                                           \
		if (v->lo <= port)                                             \
			base += count / 2;                                     \
		count -= count / 2;                                            \
	}

/* The last interval that begins at or before port. A segment has at most 65,536
 * of them: 16 halvings. */
static __always_inline const struct interval *find_interval(const struct segment *s, __u32 port, struct keys *k)
{
	__u32 base = s->offset, count = s->count;
	const struct interval *v;

	if (!count)
		return NULL;
	HALVE HALVE HALVE HALVE HALVE HALVE HALVE HALVE
	HALVE HALVE HALVE HALVE HALVE HALVE HALVE HALVE
	k->index = base;
	return bpf_map_lookup_elem(&intervals, &k->index);
}

static __always_inline const struct binding *find_binding(const struct policy *policy, const struct packet *p, struct keys *k)
{
	const volatile struct policy *all = policy; /* both: clang would compute a pointer to one */
	struct segment tcp = { all->tcp.offset, all->tcp.count }, udp = { all->udp.offset, all->udp.count };
	struct segment s = p->protocol == IPPROTO_TCP ? tcp : udp;
	const struct interval *v = find_interval(&s, p->port, k);

	if (!v)
		return NULL;
	k->index = v->binding;
	return bpf_map_lookup_elem(&bindings, &k->index);
}
