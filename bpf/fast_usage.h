/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What counts a flow, and how long it lives. */

/* 1 if the kernel has bpf_ktime_get_coarse_ns, since Linux 5.11. Otherwise the verifier removes
 * the call. */
const volatile __u32 has_coarse_clock = 0;

static __always_inline __u64 clock(void)
{
	return has_coarse_clock ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns();
}

/* What counts a way of a flow, or of another flow by now: its id tells. The caller looks at that,
 * together with NULL: in speculation a pointer that was returned is NULL when it is looked at again,
 * which up to Linux 6.16 the verifier refuses without CAP_PERFMON. */
static __always_inline struct flow_usage *usage_of(__u64 id, __u32 to_client)
{
	__u32 at = (id & (FAST_FLOWS - 1)) + (to_client ? FAST_FLOWS : 0);

	return bpf_map_lookup_elem(&fast_usage, &at);
}

/* How long the way has been without a datagram, in ns. Another core may have been later. */
static __always_inline __s64 quiet_for(const struct flow_usage *u, __u64 now)
{
	__s64 quiet = now - u->last;

	return quiet > 0 ? quiet : 0;
}

/* Whether the flow has been without a datagram for so long that user space decides again. The other
 * way is looked at where this one does not tell. */
static __always_inline int is_over(const struct flow_usage *u, const struct route *r, __u64 now)
{
	const struct flow_usage *other;

	if ((__u64)quiet_for(u, now) <= r->idle)
		return 0;
	other = usage_of(r->id, !r->to_client);
	return !other || (__u64)quiet_for(other, now) > r->idle;
}

/* Counts what was forwarded. Most datagrams only read when the last one came, so that the cores do
 * not take the cache line from each other for it. */
static __always_inline void count(struct flow_usage *u, const struct route *r, __u64 now, __u64 packets, __u64 bytes)
{
	__u64 step = r->idle / 8;

	if (step > SECOND)
		step = SECOND;
	if ((__u64)quiet_for(u, now) >= step)
		u->last = now;
	__sync_fetch_and_add(&u->packets, packets);
	__sync_fetch_and_add(&u->bytes, bytes);
}
