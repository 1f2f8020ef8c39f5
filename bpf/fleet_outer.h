/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What stands before the packet of a client, and what the tag in it proves: as written and as read. */

/* What a wrapped packet begins with. Without the first two bytes, which align the rest. */
struct outer_v4 {
	__u16 pad;
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct header header;
};

struct outer_v6 {
	__u16 pad;
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct udphdr udp;
	struct header header;
};

#define BYTES(outer) (sizeof(outer) - 2)
#define OVERHEAD_V4 (BYTES(struct outer_v4) - ETH_HLEN)
#define OVERHEAD_V6 (BYTES(struct outer_v6) - ETH_HLEN)

/* The outer packet, as read. */
struct outer {
	struct header header;
	__u32 from[4];
	__u32 inner; /* where the packet inside begins */
};

static __always_inline void set_sealed(struct sealed *m, enum message kind, __u32 family, const struct conn *conn, const __u32 *from)
{
	m->version = FLEET_VERSION;
	m->kind = kind;
	m->family = family;
	m->hops = 1;
	m->zero = 0;
	m->conn = *conn;
	m->pad = 0;
	__builtin_memcpy(m->from, from, sizeof(m->from));
}

/* Of a train: its segments get their own lengths. */
static __always_inline __be16 length_of(__u32 bytes)
{
	return bpf_htons(bytes > 0xffff ? 0xffff : bytes);
}

/* The source port has the network and the peer's device spread conns over queues. */
static __always_inline void set_udp(struct udphdr *udp, __u32 length, __u64 tag)
{
	udp->source = bpf_htons(0xc000 | (tag & 0x3fff));
	udp->dest = bpf_htons(FLEET_PORT);
	udp->len = length_of(length);
	udp->check = 0;
}

static __always_inline void set_header(struct header *h, enum message kind, __u32 family, __u64 tag)
{
	h->version = FLEET_VERSION;
	h->kind = kind;
	h->family = family;
	h->hops = 1;
	h->zero = 0;
	h->tag = tag;
}

/* Of IPv4 without options. 0: it is not for the port of the backplane. Fragments are passed: user
 * space gets them, and takes no packet of a client. */
static __always_inline int read_outer_v4(struct __sk_buff *skb, const struct backplane *b, struct outer *o)
{
	struct outer_v4 h = {};

	if (!load(skb, 0, &h.eth, BYTES(h)) || h.ip.version != 4 || h.ip.ihl != 5 || h.ip.protocol != IPPROTO_UDP ||
	    h.ip.frag_off & bpf_htons(IP_MF | IP_OFFSET) || h.ip.daddr != b->local[3] || h.udp.dest != bpf_htons(FLEET_PORT))
		return 0;
	set_v4(o->from, h.ip.saddr);
	o->header = h.header;
	o->inner = BYTES(h);
	return 1;
}

static __always_inline int read_outer_v6(struct __sk_buff *skb, const struct backplane *b, struct outer *o)
{
	struct outer_v6 h = {};
	__u32 differ;

	if (!load(skb, 0, &h.eth, BYTES(h)) || h.ip.version != 6 || h.ip.nexthdr != IPPROTO_UDP || h.udp.dest != bpf_htons(FLEET_PORT))
		return 0;
#define ELSEWHERE(i) (h.ip.daddr.in6_u.u6_addr32[i] ^ b->local[i])
	differ = ELSEWHERE(0) | ELSEWHERE(1) | ELSEWHERE(2) | ELSEWHERE(3);
	if (differ)
		return 0;
	__builtin_memcpy(o->from, &h.ip.saddr, sizeof(o->from));
	o->header = h.header;
	o->inner = BYTES(h);
	return 1;
}

static __always_inline int is_wrapped(const struct outer *o)
{
	return o->header.kind == ASK || o->header.kind == STRAIGHT || o->header.kind == FLOW;
}

/* Reads what the tag is about: the conn of the packet inside, or what user space has written. */
static __always_inline int read_sealed(struct __sk_buff *skb, const struct outer *o, struct packet *p)
{
	const struct header *h = &o->header;
	int ok = 0;

	if (h->version != FLEET_VERSION || h->hops != 1 || h->zero || h->kind < ASK || h->kind >= MESSAGES)
		return 0;
	if (!is_wrapped(o))
		return !h->family && load(skb, o->inner, &p->conn, sizeof(p->conn));
	if (h->family == 4)
		ok = read_v4(skb, o->inner, p);
	else if (h->family == 6)
		ok = read_v6(skb, o->inner, p);
	return ok && p->udp == (h->kind == FLOW);
}

/* Whether a peer has sent it. */
static __always_inline int is_proven(const struct outer *o, const struct packet *p, const struct backplane *b)
{
	struct sealed sealed;
	__u64 *wrong;

	if (!bpf_map_lookup_elem(&fleet_peers, o->from))
		return 0;
	set_sealed(&sealed, o->header.kind, o->header.family, &p->conn, o->from);
	if (seal(&sealed, b) == o->header.tag)
		return 1;
	if ((b->also[0] != b->key[0] || b->also[1] != b->key[1]) && seal_with(&sealed, b->also) == o->header.tag)
		return 1;
	wrong = bpf_map_lookup_elem(&fleet_wrong_tags, o->from);
	if (wrong)
		__sync_fetch_and_add(wrong, 1);
	return 0;
}
