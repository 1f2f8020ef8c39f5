/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The served prefixes, which user space fills. Both programs read them. */

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

/* A run of intervals: sorted by lo, the first at port 0. */
struct segment {
	__u32 offset;
	__u32 count;
};

struct policy {
	struct segment tcp;
	struct segment udp;
	__u32 knocks; /* a group of knock.h; 0: none of the prefix's routes has a sequence */
};

/* Bits of serving.half. */
#define TRACED 2
#define ON_TRIAL 4
#define PROBED 8
#define SHARED 16

/* The table in service. The odd and the even ones have a half of each map. The program takes its first
 * branch by `half`: while it is 0 or 1 nobody traces (trace.h) or probes (probes.h), no table or process is
 * on trial (trial.h), and it is the half as it stands. */
struct serving {
	__u32 half;   /* 0 or 1, TRACED while somebody traces, ON_TRIAL while the other half serves some clients,
		       * PROBED while programs of a fleet ask for sockets, SHARED while another process
		       * takes the conns of some clients */
	__u32 tables; /* that have served; user space's */
};

/* Sizes marked "user space" are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct serving);
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

/* Whether a prefix of the table in service holds dst, for programs other than the steering program. */
static __always_inline int is_served(const __u32 *dst, int v4)
{
	struct prefix_v6 six = { 160, 0, { dst[0], dst[1], dst[2], dst[3] } };
	struct prefix_v4 four = { 64, 0, dst[3] };
	__u32 zero = 0;
	const struct serving *serving = bpf_map_lookup_elem(&generation, &zero);

	if (!serving)
		return 0;
	four.generation = six.generation = serving->half & 1;
	if (v4)
		return bpf_map_lookup_elem(&prefixes_v4, &four) != NULL;
	return bpf_map_lookup_elem(&prefixes_v6, &six) != NULL;
}
