/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What counts a flow, and how long it lives. */

/* 1 if the kernel has bpf_ktime_get_coarse_ns, since Linux 5.11. Otherwise the verifier removes
 * the call. */
const volatile __u32 has_coarse_clock = 0;

static __always_inline __u64 clock(void)
{
	return has_coarse_clock ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns();
}

/* What counts a flow, or another flow by now: its id tells. The caller looks at that, together with NULL:
 * in speculation a pointer that was returned is NULL when it is looked at again, which up to Linux 6.16
 * the verifier refuses without CAP_PERFMON. */
static __always_inline struct flow_usage *usage_of(__u64 id)
{
	__u32 at = id & (FAST_FLOWS - 1);

	return bpf_map_lookup_elem(&fast_usage, &at);
}

/* How long the flow has been without a datagram, in ns. Another core may have been later. */
static __always_inline __s64 quiet_for(const struct flow_usage *u, __u64 now)
{
	__s64 quiet = now - u->last;

	return quiet > 0 ? quiet : 0;
}

/* Counts what was forwarded. Most datagrams only read when the last one came, so that the cores do
 * not take the cache line from each other for it. */
static __always_inline void count(struct flow_usage *u, const struct route *r, __u64 now, __u64 packets, __u64 bytes)
{
	__u64 step = r->idle / 8;
	struct flow_count *c;

	if (step > SECOND)
		step = SECOND;
	if ((__u64)quiet_for(u, now) >= step)
		u->last = now;
	if (r->to_client) {
		c = &u->to_client;
		OPAQUE(c);
	} else {
		c = &u->to_origin;
		OPAQUE(c);
	}
	__sync_fetch_and_add(&c->packets, packets);
	__sync_fetch_and_add(&c->bytes, bytes);
}
