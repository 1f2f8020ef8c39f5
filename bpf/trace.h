/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* `anyport trace`: the rulings as they happen, for whoever looks. The program has a second copy for that,
 * which is all that differs while somebody does: the copy that else runs has no instruction of this file.
 * User space chooses the copy with the word that the program reads first (struct serving). */

/* As many may look at once. */
#define TRACERS 8

/* Packets of these clients, of this route. */
struct trace_filter {
	__u32 used;	 /* 0: nobody looks by this one */
	__u32 addr[4];	 /* of the client; IPv4 as ::ffff:a.b.c.d */
	__u32 mask[4];	 /* the bits of it that must be equal */
	__u32 pad;
	__u64 route;	 /* binding.door; 0: any, and ports that no route takes */
};

struct trace_filters {
	struct trace_filter filter[TRACERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_filters);
} trace_filters SEC(".maps");

struct trace_event {
	__u64 at; /* by bpf_ktime_get_ns */
	__u32 client[4];
	__u32 dst[4];
	__u16 client_port;
	__u16 port;
	__u32 protocol;
	enum verdict verdict;
	enum verdict fate;
	enum reason reason;
	enum knocked knocked;
	__u8 route[64];
};

/* Some 1,700 events. User space empties it while somebody looks. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
	__type(value, struct trace_event);
} trace_events SEC(".maps");

/* Events for which there was no room, since the program was loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} trace_lost SEC(".maps");

#define FILTER(i)                                                              \
	f = &all->filter[i];                                                   \
	if (f->used && (!f->route || f->route == b->door) &&                   \
	    !(((p->client[0] ^ f->addr[0]) & f->mask[0]) |                     \
	      ((p->client[1] ^ f->addr[1]) & f->mask[1]) |                     \
	      ((p->client[2] ^ f->addr[2]) & f->mask[2]) |                     \
	      ((p->client[3] ^ f->addr[3]) & f->mask[3])))                     \
		return 1;

/* Whether anybody wants to see a packet. While user space writes the filters this may be wrong: user space
 * looks at each event again. */
static __always_inline int is_traced(const struct binding *b, const struct packet *p, struct keys *k)
{
	const struct trace_filters *all;
	const struct trace_filter *f;

	k->index = 0;
	all = bpf_map_lookup_elem(&trace_filters, &k->index);
	if (!all)
		return 0;
	FILTER(0) FILTER(1) FILTER(2) FILTER(3) FILTER(4) FILTER(5) FILTER(6) FILTER(7)
	return 0;
}

static __always_inline void trace(const struct binding *b, const struct packet *p, struct ruling r, enum knocked knocked, struct keys *k)
{
	struct trace_event *e;
	__u64 *lost;

	if (!is_traced(b, p, k))
		return;
	e = bpf_ringbuf_reserve(&trace_events, sizeof(*e), 0);
	if (!e) {
		lost = bpf_map_lookup_elem(&trace_lost, &k->index);
		if (lost)
			__sync_fetch_and_add(lost, 1);
		return;
	}
	e->at = bpf_ktime_get_ns();
	e->client[0] = p->client[0];
	e->client[1] = p->client[1];
	e->client[2] = p->client[2];
	e->client[3] = p->client[3];
	e->dst[0] = p->dst[0];
	e->dst[1] = p->dst[1];
	e->dst[2] = p->dst[2];
	e->dst[3] = p->dst[3];
	e->client_port = p->client_port;
	e->port = p->port;
	e->protocol = p->protocol;
	e->verdict = r.verdict;
	e->fate = r.fate;
	e->reason = r.reason;
	e->knocked = knocked;
	__builtin_memcpy(e->route, b->route, sizeof(e->route));
	bpf_ringbuf_submit(e, 0);
}
