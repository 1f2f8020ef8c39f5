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
#include "door.h"
#include "knock.h"
#include "scans.h"
#include "trace.h"
#include "trial.h"
#include "probes.h"
#include "find.h"
#include "rule.h"
#include "assign.h"

static __always_inline void count(__u32 id, enum verdict verdict, struct keys *k)
{
	__u64 *n;

	k->index = id * VERDICTS + verdict;
	n = bpf_map_lookup_elem(&counters, &k->index);
	if (n)
		(*n)++;
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
