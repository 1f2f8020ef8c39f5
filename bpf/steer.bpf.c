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

#include "prefixes.h"
#include "tables.h"
#include "local.h"
#include "keys.h"
#include "packet.h"
#include "limit.h"
#include "hours.h"
#include "knock.h"
#include "scans.h"
#include "trace.h"
#include "trial.h"
#include "probes.h"

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

/* Every list has an entry for all of IPv4 and one for all of IPv6: none means denied. */
static __always_inline int allowed(__u32 list, const struct packet *p, struct keys *k)
{
	const __u32 *allow;

	if (!list)
		return 1;
	k->source = (struct source){ 160, list, { p->client[0], p->client[1], p->client[2], p->client[3] } };
	allow = bpf_map_lookup_elem(&sources, &k->source);
	return allow && *allow;
}

static __always_inline int draining(__u32 number, struct keys *k)
{
	const __u32 *on;

	k->index = number;
	on = bpf_map_lookup_elem(&drains, &k->index);
	return on && *on;
}

static __always_inline int is_closed(const struct packet *p, struct keys *k)
{
	const __u64 *until;

	k->service = (struct service){ { p->dst[0], p->dst[1], p->dst[2], p->dst[3] }, p->port, p->protocol };
	until = bpf_map_lookup_elem(&closed, &k->service);
	return until && bpf_ktime_get_ns() < *until;
}

/* Two fields that two branches return: clang would compute a pointer to one of them, so
 * something of its own follows each load. */
#define LOADED(v, which) asm volatile("# " which : "+r"(v))

static __always_inline struct ruling rule(const struct binding *b, const struct packet *p, struct keys *k)
{
	if (p->question != ASKED_FOR_ALL && !allowed(b->sources, p, k)) {
		enum verdict denied = b->denied;
		LOADED(denied, "denied");
		return (struct ruling){ DENY, denied, BY_CLIENT };
	}
	if (b->valid_until && is_over(b, p)) {
		enum verdict inactive = b->inactive;
		LOADED(inactive, "inactive");
		return (struct ruling){ INACTIVE, inactive, BY_HOURS };
	}
	if (b->verdict != STEER && !b->service)
		return (struct ruling){ b->verdict, b->verdict, BY_ROUTE };
	if (p->protocol == IPPROTO_TCP && draining(b->number, k))
		return (struct ruling){ REFUSE, REFUSE, BY_DRAIN };
	if (b->extras) {
		if (b->extras & NEEDS_DOOR && p->question != ASKED_FOR_ALL && !passes_door(b, p, k)) {
			enum verdict denied = b->denied;
			LOADED(denied, "no door");
			return (struct ruling){ DENY, denied, NO_DOOR };
		}
		if (b->extras & MIRRORS && is_closed(p, k))
			return (struct ruling){ REFUSE, REFUSE, ORIGIN_CLOSED };
		if (b->extras & TAKES_KNOCK && !p->question)
			return limit_knocks(b, p, k);
	}
	if (p->question) /* takes no token */
		return (struct ruling){ b->verdict, b->verdict, BY_ROUTE };
	return limit(b, p, k);
}

static __always_inline void count(__u32 id, enum verdict verdict, struct keys *k)
{
	__u64 *n;

	k->index = id * VERDICTS + verdict;
	n = bpf_map_lookup_elem(&counters, &k->index);
	if (n)
		(*n)++;
}

/* The worker is chosen by the client's address alone, so that the flood of one client
 * fills one queue; of an IPv6 address by its first half, for a host has the other half
 * to itself. The group of SO_REUSEPORT would look at the ports, too. */
static __always_inline enum slot worker(const struct packet *p, struct keys *k)
{
	__u32 h = p->family == AF_INET ? p->client[3] : p->client[0] ^ p->client[1] * 0x9e3779b1;
	const __u32 *n;

	k->index = 0;
	n = bpf_map_lookup_elem(&workers, &k->index);
	if (!n || *n < 2)
		return UDP;
	h ^= h >> 16; /* the finalizer of MurmurHash3 */
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return UDP + ((__u64)h * *n >> 32);
}

/* An empty slot refuses. */
static __always_inline int assign(struct bpf_sk_lookup *ctx, enum slot slot, __u64 flags, struct keys *k)
{
	struct bpf_sock *sk;
	long err;

	k->slot = slot;
	sk = bpf_map_lookup_elem(&sockets, &k->slot);
	if (!sk)
		return SK_DROP;
	err = bpf_sk_assign(ctx, sk, flags);
	bpf_sk_release(sk);
	return err ? SK_DROP : SK_PASS;
}

/* To a listener of this process, or of the one on trial. When that dies the kernel empties its slot, and from the same
 * moment on this process has all. */
static __always_inline int assign_tcp(struct bpf_sk_lookup *ctx, __u32 shared, struct keys *k)
{
	struct bpf_sock *sk;
	long err;

	if (!shared)
		return assign(ctx, TCP, 0, k);
	k->slot = TCP_SHARE;
	sk = bpf_map_lookup_elem(&sockets, &k->slot);
	if (!sk)
		return assign(ctx, TCP, 0, k);
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err ? SK_DROP : SK_PASS;
}

/* To the socket of a service of this host, in which SO_REUSEPORT chooses as usual. What
 * becomes of the packet where there is no such socket, or one that takes none of its
 * family, is the verdict that is counted. */
static __always_inline enum verdict assign_local(struct bpf_sk_lookup *ctx, const struct binding *b, const struct packet *p, struct keys *k)
{
	struct bpf_sock *sk;
	long err;

	k->local = (struct local_key){ b->service, p->protocol };
	sk = bpf_map_lookup_elem(&local_sockets, &k->local);
	if (!sk)
		return b->away;
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err ? b->away : SOCKET;
}

/* Tells user space, and decides nothing. */
static __always_inline int answer(enum question question, const struct binding *b, struct ruling r, struct keys *k)
{
	struct answer *a;

	k->index = 0;
	a = bpf_map_lookup_elem(&answers, &k->index);
	if (!a)
		return SK_DROP;
	a->question = question;
	a->verdict = r.verdict;
	a->fate = r.fate;
	__builtin_memcpy(a->route, b->route, sizeof(a->route));
	return SK_PASS;
}

/* Whether the table of a half would give datagrams to user space. */
static __always_inline int steers(__u32 half, const struct packet *p, struct keys *k)
{
	const struct policy *policy = find_policy(half, p, k);
	const struct binding *binding;

	if (!policy)
		return 0;
	binding = find_binding(policy, p, k);
	return binding && binding->verdict == STEER;
}

/* While a table is on trial, flows that began with the other one go on, and only user space can tell their
 * datagrams from the first ones of new flows. So it gets what one of the two tables steers. */
static __always_inline int may_be_flow(struct ruling r, __u32 half, const struct packet *p, struct keys *k)
{
	if (p->protocol != IPPROTO_UDP || p->question || r.verdict == LIMIT || (r.fate != REFUSE && r.fate != DROP))
		return 0;
	return steers(half ^ 1, p, k);
}

static __always_inline int is_probe(struct keys *k)
{
	const __u32 *probing;

	k->index = 0;
	probing = bpf_map_lookup_elem(&probes, &k->index);
	return probing && *probing;
}

/* Which listener would get the end of a handshake: the fleet asks for nothing else. */
static __always_inline int answer_probe(struct bpf_sk_lookup *ctx, const struct packet *p, __u32 serving, struct keys *k)
{
	__u32 side = serving & (ON_TRIAL | SHARED) && on_trial(p, k);
	const struct policy *policy = find_policy((serving & 1) ^ (side && serving & ON_TRIAL), p, k);
	const struct binding *binding;

	if (!policy)
		return SK_PASS;
	binding = find_binding(policy, p, k);
	if (!binding)
		return SK_DROP;
	if (binding->service)
		return assign_local(ctx, binding, p, k) == SOCKET ? SK_PASS : SK_DROP;
	if (binding->verdict == STEER)
		return assign_tcp(ctx, side && serving & SHARED, k);
	return binding->verdict == PASS ? SK_PASS : SK_DROP;
}

/* The way of one packet, by serving.half. `watched` is a constant, 1 where somebody traces or probes, or a table
 * or process is on trial: there is a copy of all this for each of its values. */
static __always_inline int handle(struct bpf_sk_lookup *ctx, struct packet *p, __u32 serving, int watched, struct keys *k)
{
	__u32 half = serving, side = 0;
	enum knocked knocked = NOT_KNOCKED;
	const struct policy *policy;
	const struct binding *binding;
	struct ruling ruling;

	if (watched) {
		side = serving & (ON_TRIAL | SHARED) && on_trial(p, k);
		half = (serving & 1) ^ (side && serving & ON_TRIAL);
	}
	policy = find_policy(half, p, k);
	if (!policy)
		return SK_PASS;
	split_question(p);
	if (policy->knocks && !p->question)
		knocked = knock(policy, p, k);
	binding = find_binding(policy, p, k);
	if (!binding)
		return SK_DROP;

	ruling = rule(binding, p, k);
	if (p->question)
		return answer(p->question, binding, ruling, k);
	if (ruling.fate == STEER && binding->service) {
		ruling.verdict = ruling.fate = assign_local(ctx, binding, p, k);
		ruling.reason = ruling.fate == SOCKET ? BY_ROUTE : NO_SOCKET;
	}
	if (watched && serving & ON_TRIAL && may_be_flow(ruling, half, p, k))
		ruling = (struct ruling){ STEER, STEER, BY_ROUTE };
	count(binding->number, ruling.verdict, k);
	if (watched && (serving & ON_TRIAL || (serving & SHARED && p->protocol == IPPROTO_TCP)))
		count_side(side, ruling.verdict, k);
	if (watched && serving & TRACED)
		trace(binding, p, ruling, knocked, k);

	if (ruling.fate == STEER) {
		if (p->protocol == IPPROTO_TCP)
			return assign_tcp(ctx, watched && side && serving & SHARED, k);
		return assign(ctx, worker(p, k), BPF_SK_LOOKUP_F_NO_REUSEPORT, k);
	}
	if (ruling.verdict <= DROP && binding->verdict <= DROP) /* not where a route that serves is draining */
		report_scan(p, k);
	if (ruling.fate == DROP)
		return assign(ctx, p->protocol == IPPROTO_TCP ? TCP_HOLE : UDP_HOLE, 0, k);
	return ruling.fate == PASS || ruling.fate == SOCKET ? SK_PASS : SK_DROP;
}

SEC("sk_lookup")
int steer(struct bpf_sk_lookup *ctx)
{
	struct packet p = {};
	struct keys keys;
	const struct serving *serving;
	__u32 half;

	if (ctx->sk) /* another program of this namespace has chosen */
		return SK_PASS;
	read_packet(&p, ctx);

	keys.index = 0;
	serving = bpf_map_lookup_elem(&generation, &keys.index);
	if (!serving)
		return SK_PASS;
	half = serving->half;
	asm goto("if %0 > 1 goto %l[watched]" : : "r"(half) : : watched); /* clang would first load a constant */
	return handle(ctx, &p, half, 0, &keys);
watched:
	if (half & PROBED && is_probe(&keys))
		return answer_probe(ctx, &p, half, &keys);
	return handle(ctx, &p, half, 1, &keys);
}

char _license[] SEC("license") = "Dual BSD/GPL";
