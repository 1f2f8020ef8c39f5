/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What the programs know, and what they count. */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct backplane);
} fleet_backplane SEC(".maps");

/* Those that are alive, without a hole. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MOST_PEERS);
	__type(key, __u32);
	__type(value, struct peer);
} fleet_asked SEC(".maps");

/* All peers by address, alive or not. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MOST_PEERS);
	__type(key, __u32[4]);
	__type(value, struct peer);
} fleet_peers SEC(".maps");

/* Packets from their addresses that they have not signed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MOST_PEERS);
	__type(key, __u32[4]);
	__type(value, __u64);
} fleet_wrong_tags SEC(".maps");

/* Of all peers, too. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MOST_PEERS);
	__type(key, __u32[4]);
	__type(value, struct heard);
} fleet_heard SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct needed);
} fleet_needed SEC(".maps");

/* Which peer has a conn. take_asked fills it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 17);
	__type(key, struct conn);
	__type(value, __u32[4]);
} fleet_learnt SEC(".maps");

/* The UDP flows of this host whose clients have sent more than one datagram. User space fills it, and the
 * next one; the value says nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18);
	__type(key, struct conn);
	__type(value, __u32);
} fleet_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 15);
	__type(key, struct conn);
	__type(value, struct moved);
} fleet_moved SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct conn);
	__type(value, struct question);
} fleet_questions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct conn);
	__type(value, struct answer);
} fleet_answers SEC(".maps");

/* When the bucket of all questions is full again, by bpf_ktime_get_ns. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} fleet_bucket SEC(".maps");

/* And those of clients: an IPv4 address, or an IPv6 /64, which is what one host has. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __u32[2]);
	__type(value, __u64);
} fleet_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, enum counter);
	__type(value, __u64);
} fleet_counters SEC(".maps");

/* struct event */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 17);
} fleet_events SEC(".maps");

static __always_inline void count(enum counter which)
{
	__u64 *n = bpf_map_lookup_elem(&fleet_counters, &which);

	if (n)
		(*n)++;
}
