/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What a binding says about a packet. */

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
