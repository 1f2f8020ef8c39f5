/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Sequences of knocks: a door is opened when a client has touched the ports of the route's sequence
 * in their order, within KNOCK_WITHIN from first to last.
 *
 * A client has one place for what it has knocked so far. Every packet that it sends to a
 * prefix with sequences moves it: the port that comes next advances it, any other port
 * clears it. Ports of a sequence are distinct, and sequences that apply to one prefix have
 * no port in common (config refuses others), so a port leads to one step at most. */

#define KNOCK_WITHIN (10 * SECOND)

struct knock_step {
	__u64 route;	/* see struct door */
	__u64 window;	/* ns that the door stays open after the last step */
	__u32 number;	/* of the route */
	__u16 position; /* in the sequence, from 0 */
	__u16 last;	/* not 0: this step opens the door */
};

/* The steps of all sequences, by where they count. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct knock_port);
	__type(value, struct knock_step);
} knock_steps SEC(".maps");

/* What one client has knocked so far. */
struct knocker {
	struct bpf_spin_lock lock;
	__u32 number; /* of the route */
	__u32 client[4];
	__u32 next; /* the position that comes next; 0: nothing was knocked */
	__u32 pad;
	__u64 since; /* the first step */
	__u64 ports; /* the client's own ports of the steps, 16 bits each from the lowest */
};

/* Rows of KNOCK_WAYS places. A client has two rows, which a secret chooses: one by its network (IPv4
 * /24, IPv6 /64), and one by its address (IPv6 again by the /64). They come from different halves of
 * the rows: a neighbour whose two rows were one would have no room elsewhere. So a forger whose network
 * lets it forge only its own addresses fills one row, and of each other row a place at most: its
 * neighbours find room in the second row, and everyone else in the first. Where both rows are full, the
 * client that has come least far yields, of these the oldest one: forged first knocks from everywhere
 * never replace a client that has come further. */
#define KNOCK_WAYS 8
#define KNOCK_ROWS 8192

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KNOCK_ROWS * KNOCK_WAYS);
	__type(key, __u32);
	__type(value, struct knocker);
} knockers SEC(".maps");

/* The doors that a sequence has opened, for user space to log: struct door. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} opened_doors SEC(".maps");

/* The finalizer of MurmurHash3. */
static __always_inline __u32 knock_row(__u64 h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return (h & (KNOCK_ROWS / 2 - 1)) * KNOCK_WAYS;
}

static __always_inline int is_knocker(const struct knocker *s, const struct packet *p)
{
	return !((s->client[0] ^ p->client[0]) | (s->client[1] ^ p->client[1]) |
		 (s->client[2] ^ p->client[2]) | (s->client[3] ^ p->client[3]));
}

/* The lowest rank yields its place. */
static __always_inline __u64 knock_rank(const struct knocker *s, const struct packet *p, __u64 now)
{
	if (is_knocker(s, p))
		return 0;
	if (!s->next || now - s->since >= KNOCK_WITHIN)
		return 1;
	return ((__u64)s->next << 56) + (s->since >> 8);
}

#define WAY                                                                    \
	s = bpf_map_lookup_elem(&knockers, &k->index);                         \
	if (!s)                                                                \
		return NULL;                                                   \
	rank = knock_rank(s, p, now);                                          \
	if (rank < best) {                                                     \
		best = rank;                                                   \
		place = k->index;                                              \
	}                                                                      \
	k->index++;

/* The place of this client, or the one that it may take. Without a lock: advance looks
 * again. */
static __always_inline struct knocker *find_knocker(const struct packet *p, struct keys *k, __u64 secret, __u64 now)
{
	__u64 network = (__u64)p->client[0] << 32 | p->client[1], address = ~network;
	__u64 rank, best = ~0ULL;
	struct knocker *s;
	__u32 place;

	if (p->family == AF_INET) {
		network = p->client[3] & bpf_htonl(0xffffff00);
		address = ~(__u64)p->client[3];
	}
	place = k->index = knock_row(network ^ secret);
	WAY WAY WAY WAY WAY WAY WAY WAY
	k->index = KNOCK_ROWS / 2 * KNOCK_WAYS + knock_row(address ^ secret);
	WAY WAY WAY WAY WAY WAY WAY WAY
	k->index = place;
	return bpf_map_lookup_elem(&knockers, &k->index);
}

/* A packet to a port of no sequence. */
static __always_inline void clear_knocks(struct knocker *s, const struct packet *p)
{
	bpf_spin_lock(&s->lock);
	if (is_knocker(s, p))
		s->next = 0;
	bpf_spin_unlock(&s->lock);
}

/* Takes a step and reports whether it was the last. A SYN that is sent again, and the second
 * look under SYN cookies, are known by the client's own port; so they neither count nor
 * clear. Nor does the step before once more from another port, as some clients do. */
static __always_inline int advance(struct knocker *s, const struct knock_step *step, const struct packet *p, __u64 now)
{
	__u32 number = step->number, position = step->position, last = step->last;
	__u64 port = p->client_port, shift = (position & 3) * 16; /* the fifth step is a last one */
	int mine, opens = 0;

	bpf_spin_lock(&s->lock);
	mine = is_knocker(s, p) && s->next && now - s->since < KNOCK_WITHIN;
	if (mine && s->number == number && position && position == s->next) {
		opens = last;
		s->next = last ? 0 : position + 1;
		s->ports |= port << shift;
	} else if (mine && s->number == number && position < s->next &&
		   ((s->ports >> shift & 0xffff) == port || (position && position + 1 == s->next))) {
		/* again */
	} else if (!position) {
		s->number = number;
		s->client[0] = p->client[0];
		s->client[1] = p->client[1];
		s->client[2] = p->client[2];
		s->client[3] = p->client[3];
		s->next = 1;
		s->since = now;
		s->ports = port;
	} else if (mine) {
		s->next = 0;
	}
	bpf_spin_unlock(&s->lock);
	return opens;
}

static __always_inline void open_door(const struct knock_step *step, const struct packet *p, struct keys *k, __u64 now)
{
	k->door = (struct door){ step->route, { p->client[0], p->client[1], p->client[2], p->client[3] } };
	k->until = now + step->window;
	bpf_map_update_elem(&doors, &k->door, &k->until, BPF_ANY);
	bpf_ringbuf_output(&opened_doors, &k->door, sizeof(k->door), 0); /* where it is full, nobody is told */
}

/* Counts a packet for the sequences of a prefix. It decides nothing about the packet: a
 * knock is answered like any other packet to that port. Through volatile the group is read where
 * it is needed: else every packet of a prefix without sequences stores it on the stack. */
static __always_inline enum knocked knock(const volatile struct policy *policy, const struct packet *p, struct keys *k)
{
	const struct knock_setup *setup;
	const struct knock_step *step;
	struct knocker *s;
	__u64 now;

	k->index = 0;
	setup = bpf_map_lookup_elem(&knock_setup, &k->index);
	if (!setup)
		return NOT_KNOCKED;
	now = knock_time(setup);
	s = find_knocker(p, k, setup->secret, now);
	if (!s)
		return NOT_KNOCKED;
	k->knock_port = (struct knock_port){ policy->knocks, p->port };
	step = bpf_map_lookup_elem(&knock_steps, &k->knock_port);
	if (!step) {
		clear_knocks(s, p);
		return NOT_KNOCKED;
	}
	if (!advance(s, step, p, now))
		return STEPPED;
	open_door(step, p, k, now);
	return OPENED;
}
