/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* `anyport reload --share`: a new table serves a share of the clients, from the half that is otherwise idle.
 * `anyport upgrade --share`: a new process takes the TCP conns of a share of the clients, by a listener of its own. As
 * with trace.h, only the second copy of the program has instructions of this file. */

/* User space writes it before it sets ON_TRIAL or SHARED, and waits for a grace period in between. */
struct trial {
	__u64 seed;  /* so that no client knows its side */
	__u64 share; /* of 1 << 32 */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trial);
} trial SEC(".maps");

/* VERDICTS of the table or process before, and VERDICTS of the one on trial. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} trial_counts SEC(".maps");

/* Whether the client is one of the share: an IPv4 address or the first half of an IPv6 one, as in limits.
 * User space decides with the same function (Share.Takes in steering/share.go). A question without a client is
 * one to the table before. */
static __always_inline int on_trial(const struct packet *p, struct keys *k)
{
	const struct trial *t;
	__u64 h;

	if ((p->protocol & ASKED_FOR_ALL) == ASKED_FOR_ALL)
		return 0;
	k->index = 0;
	t = bpf_map_lookup_elem(&trial, &k->index);
	if (!t)
		return 0;
	if (p->family == AF_INET)
		h = 0xffffULL << 32 | bpf_ntohl(p->client[3]);
	else
		h = (__u64)bpf_ntohl(p->client[0]) << 32 | bpf_ntohl(p->client[1]);
	h ^= t->seed;
	h ^= h >> 30; /* the finalizer of SplitMix64 */
	h *= 0xbf58476d1ce4e5b9;
	h ^= h >> 27;
	h *= 0x94d049bb133111eb;
	h ^= h >> 31;
	return h >> 32 < t->share;
}

static __always_inline void count_side(__u32 side, enum verdict verdict, struct keys *k)
{
	__u64 *n;

	k->index = side * VERDICTS + verdict;
	n = bpf_map_lookup_elem(&trial_counts, &k->index);
	if (n)
		(*n)++;
}
