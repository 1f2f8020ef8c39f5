// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/* Which socket gets the first packet of a conn or flow. The tables come from user
 * space, complete; here is only the walk through them:
 *
 *   dst address -> prefix -> policy -> port -> interval -> binding -> verdict
 *
 * Every table has room for two generations. What is reached from a prefix belongs to
 * the prefix's generation, so the one word `generation` replaces all of it at once.
 *
 * Outside the served prefixes nothing is touched. Inside, whatever is missing or
 * inconsistent refuses: it must never fall through to the host's own listeners.
 *
 * It loads without CAP_PERFMON. Then the verifier also follows what a CPU may do in
 * speculation, and so refuses loops, which go on there past their end, and pointers
 * that are the sum of a variable on one path and a constant on another.
 */

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10

/* Verdicts, in the order of their counters. Zeroed memory refuses. */
enum verdict { REFUSE, DROP, PASS, STEER, DENY, VERDICTS };

/* Slots of the sockets map. A hole is a socket that swallows all it is given. */
enum slot { TCP, UDP, TCP_HOLE, UDP_HOLE, SLOTS };

/* Trie keys. What comes before the address is an exact match: it counts into
 * prefixlen with its 32 bits. */
struct prefix_v4 {
	__u32 prefixlen;
	__u32 generation;
	__u32 addr; /* network byte order, here and below */
};

struct prefix_v6 {
	__u32 prefixlen;
	__u32 generation;
	__u32 addr[4];
};

struct source {
	__u32 prefixlen;
	__u32 list;
	__u32 addr[4]; /* IPv4 as ::ffff:a.b.c.d */
};

/* A run of intervals: sorted by lo, the first at port 0. */
struct segment {
	__u32 offset;
	__u32 count;
};

struct policy {
	struct segment tcp;
	struct segment udp;
};

struct interval {
	__u16 lo;
	__u16 pad;
	__u32 binding;
};

struct binding {
	enum verdict verdict; /* for clients that the source list allows */
	enum verdict denied;  /* what the others get */
	__u32 sources; /* a list's number; 0 allows everyone */
	__u32 counter;
	__u8 route[64]; /* for the next process, which finds its counters by the name */
};

/* How many tables have served: the odd and the even ones have a half of each map.
 * Sizes marked "user space" are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} generation SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 24);
	__type(key, struct prefix_v4);
	__type(value, struct policy);
} prefixes_v4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 24);
	__type(key, struct prefix_v6);
	__type(value, struct policy);
} prefixes_v6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 24);
	__type(key, struct source);
	__type(value, __u32); /* 1 allows, 0 denies */
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32);
	__type(value, struct interval);
} intervals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32);
	__type(value, struct binding);
} bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32); /* VERDICTS for each binding.counter */
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, SLOTS);
	__type(key, enum slot);
	__type(value, __u64);
} sockets SEC(".maps");

struct packet {
	__u32 family;
	__u32 protocol;
	__u32 dst_v4;
	__u32 dst_v6[4];
	__u32 client[4]; /* IPv4 as ::ffff:a.b.c.d */
	__u32 port;	 /* of dst, host byte order */
};

/* All fields, whether needed or not, and through volatile: of a load in a branch
 * clang makes one through a computed pointer into ctx, which the verifier refuses. */
static __always_inline void read_packet(struct packet *p, const volatile struct bpf_sk_lookup *ctx)
{
	__u32 client_v4 = ctx->remote_ip4;

	p->family = ctx->family;
	p->protocol = ctx->protocol;
	p->port = ctx->local_port;
	p->dst_v4 = ctx->local_ip4;
	p->dst_v6[0] = ctx->local_ip6[0];
	p->dst_v6[1] = ctx->local_ip6[1];
	p->dst_v6[2] = ctx->local_ip6[2];
	p->dst_v6[3] = ctx->local_ip6[3];
	p->client[0] = ctx->remote_ip6[0];
	p->client[1] = ctx->remote_ip6[1];
	p->client[2] = ctx->remote_ip6[2];
	p->client[3] = ctx->remote_ip6[3];
	if (p->family == AF_INET) {
		p->client[0] = p->client[1] = 0;
		p->client[2] = bpf_htonl(0xffff);
		p->client[3] = client_v4;
	}
}

/* NULL: no prefix holds dst. */
static __always_inline const struct policy *find_policy(const struct packet *p)
{
	__u32 zero = 0;
	const __u32 *tables = bpf_map_lookup_elem(&generation, &zero);

	if (!tables)
		return NULL;
	__u32 current = *tables & 1;
	if (p->family == AF_INET) {
		struct prefix_v4 key = { 64, current, p->dst_v4 };
		return bpf_map_lookup_elem(&prefixes_v4, &key);
	}
	struct prefix_v6 key = { 160, current, { p->dst_v6[0], p->dst_v6[1], p->dst_v6[2], p->dst_v6[3] } };
	return bpf_map_lookup_elem(&prefixes_v6, &key);
}

/* Halves the `count` intervals from `base` on. */
#define HALVE                                                                  \
	if (count > 1) {                                                       \
		middle = base + count / 2;                                     \
		v = bpf_map_lookup_elem(&intervals, &middle);                  \
		if (!v)                                                        \
			return NULL;                                           \
		count -= count / 2;                                            \
		if (v->lo <= port)                                             \
			base = middle;                                         \
	}

/* The last interval that begins at or before port. A segment has at most 65,536
 * of them: 16 halvings. */
static __always_inline const struct interval *find_interval(const struct segment *s, __u32 port)
{
	__u32 base = s->offset, count = s->count, middle;
	const struct interval *v;

	if (!count)
		return NULL;
	HALVE HALVE HALVE HALVE HALVE HALVE HALVE HALVE
	HALVE HALVE HALVE HALVE HALVE HALVE HALVE HALVE
	return bpf_map_lookup_elem(&intervals, &base);
}

static __always_inline const struct binding *find_binding(const struct policy *policy, const struct packet *p)
{
	const volatile struct policy *all = policy; /* both, lest clang compute a pointer to one */
	struct segment tcp = { all->tcp.offset, all->tcp.count }, udp = { all->udp.offset, all->udp.count };
	struct segment s = p->protocol == IPPROTO_TCP ? tcp : udp;
	const struct interval *v = find_interval(&s, p->port);

	if (!v)
		return NULL;
	__u32 i = v->binding;
	return bpf_map_lookup_elem(&bindings, &i);
}

/* Every list has an entry for all of IPv4 and one for all of IPv6: none means denied. */
static __always_inline int allowed(__u32 list, const struct packet *p)
{
	struct source key = { 160, list, { p->client[0], p->client[1], p->client[2], p->client[3] } };
	const __u32 *allow;

	if (!list)
		return 1;
	allow = bpf_map_lookup_elem(&sources, &key);
	return allow && *allow;
}

static __always_inline void count(__u32 id, enum verdict verdict)
{
	__u32 i = id * VERDICTS + verdict;
	__u64 *n = bpf_map_lookup_elem(&counters, &i);

	if (n)
		(*n)++;
}

/* An empty slot refuses. */
static __always_inline int assign(struct bpf_sk_lookup *ctx, enum slot slot)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &slot);
	long err;

	if (!sk)
		return SK_DROP;
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err ? SK_DROP : SK_PASS;
}

SEC("sk_lookup")
int steer(struct bpf_sk_lookup *ctx)
{
	struct packet p = {};
	const struct policy *policy;
	const struct binding *binding;
	enum verdict verdict, fate;

	if (ctx->sk) /* another program of this namespace has chosen */
		return SK_PASS;
	read_packet(&p, ctx);

	policy = find_policy(&p);
	if (!policy)
		return SK_PASS;
	binding = find_binding(policy, &p);
	if (!binding)
		return SK_DROP;

	verdict = fate = binding->verdict;
	if (!allowed(binding->sources, &p)) {
		verdict = DENY;
		fate = binding->denied;
	}
	count(binding->counter, verdict);

	switch (fate) {
	case PASS:
		return SK_PASS;
	case STEER:
		return assign(ctx, p.protocol == IPPROTO_TCP ? TCP : UDP);
	case DROP:
		return assign(ctx, p.protocol == IPPROTO_TCP ? TCP_HOLE : UDP_HOLE);
	default:
		return SK_DROP;
	}
}

char _license[] SEC("license") = "Dual BSD/GPL";
