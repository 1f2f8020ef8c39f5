/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Tells user space who sends to ports that nobody serves: no route takes them, or their route
 * refuses or drops.
 *
 * Each CPU may report a bounded number of packets a round. Rounds are user space's: it begins one when it has
 * read the ring. So a flood costs a test of `left` for all but the first packets of a round, no clock
 * is read, and a process that is dead or busy gives no more rounds. */

/* The round, and how many packets each CPU may report in it. Zeroed: none. */
struct scan_round {
	__u32 number;
	__u32 most;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scan_round);
} scan_round SEC(".maps");

/* Of one CPU. Only the program writes it; an update that an interrupt loses is a packet miscounted. */
struct scan_share {
	__u64 reported;
	__u64 skipped; /* the round had no more, or the ring */
	__u32 round;
	__u32 left;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scan_share);
} scan_share SEC(".maps");

/* struct tuple of each reported packet (since Linux 5.8). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} scans SEC(".maps");

static __always_inline void report_scan(const struct packet *p, struct keys *k)
{
	const struct scan_round *round;
	struct scan_share *share;

	k->index = 0;
	share = bpf_map_lookup_elem(&scan_share, &k->index);
	round = bpf_map_lookup_elem(&scan_round, &k->index);
	if (!share || !round)
		return;
	if (share->round != round->number) {
		share->round = round->number;
		share->left = round->most;
	}
	if (!share->left) {
		share->skipped++;
		return;
	}
	share->left--;
	k->tuple = (struct tuple){
		{ p->client[0], p->client[1], p->client[2], p->client[3] },
		{ p->dst[0], p->dst[1], p->dst[2], p->dst[3] },
		p->protocol, p->client_port, p->port,
	};
	if (bpf_ringbuf_output(&scans, &k->tuple, sizeof(k->tuple), 0))
		share->skipped++;
	else
		share->reported++;
}
