/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Wraps the packet of a client, and sends it to peers. */

#define OUTER_TTL 64

static __always_inline __u16 checksum_v4(const struct iphdr *ip)
{
	__u32 sum = bpf_csum_diff(NULL, 0, (void *)ip, sizeof(*ip), 0);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Where a wrapped packet goes: what one of the two loops below needs. */
struct sending {
	struct __sk_buff *skb;
	const struct backplane *b;
	__u64 tag;
	enum message kind;
	__u32 family;
	__u32 inner; /* bytes */
};

static __always_inline void send_v4(const struct sending *s, const struct peer *to)
{
	struct outer_v4 o = {};
	struct iphdr ip = {};

	__builtin_memcpy(o.eth.h_dest, to->mac, ETH_ALEN);
	__builtin_memcpy(o.eth.h_source, s->b->mac, ETH_ALEN);
	o.eth.h_proto = bpf_htons(ETH_P_IP);
	ip.version = 4;
	ip.ihl = 5;
	ip.tot_len = length_of(OVERHEAD_V4 + s->inner);
	ip.frag_off = bpf_htons(IP_DF);
	ip.ttl = OUTER_TTL;
	ip.protocol = IPPROTO_UDP;
	ip.saddr = s->b->local[3];
	ip.daddr = to->addr[3];
	ip.check = checksum_v4(&ip);
	o.ip = ip;
	set_udp(&o.udp, OVERHEAD_V4 - sizeof(o.ip) + s->inner, s->tag);
	set_header(&o.header, s->kind, s->family, s->tag);
	if (bpf_skb_store_bytes(s->skb, 0, &o.eth, BYTES(o), 0) || bpf_clone_redirect(s->skb, s->b->device, 0))
		count(COUNT_UNSENT);
}

static __always_inline void send_v6(const struct sending *s, const struct peer *to)
{
	struct outer_v6 o = {};

	__builtin_memcpy(o.eth.h_dest, to->mac, ETH_ALEN);
	__builtin_memcpy(o.eth.h_source, s->b->mac, ETH_ALEN);
	o.eth.h_proto = bpf_htons(ETH_P_IPV6);
	o.ip.version = 6;
	o.ip.payload_len = length_of(OVERHEAD_V6 - sizeof(o.ip) + s->inner);
	o.ip.nexthdr = IPPROTO_UDP;
	o.ip.hop_limit = OUTER_TTL;
	__builtin_memcpy(&o.ip.saddr, s->b->local, sizeof(o.ip.saddr));
	__builtin_memcpy(&o.ip.daddr, to->addr, sizeof(o.ip.daddr));
	set_udp(&o.udp, OVERHEAD_V6 - sizeof(o.ip) + s->inner, s->tag);
	set_header(&o.header, s->kind, s->family, s->tag);
	if (bpf_skb_store_bytes(s->skb, 0, &o.eth, BYTES(o), 0) || bpf_clone_redirect(s->skb, s->b->device, 0))
		count(COUNT_UNSENT);
}

/* Called by bpf_loop: 1 ends it. */
static long send_to(__u32 index, struct sending *s)
{
	const struct peer *to = bpf_map_lookup_elem(&fleet_asked, &index);

	if (!to)
		return 1;
	if (s->b->v6)
		send_v6(s, to);
	else
		send_v4(s, to);
	return 0;
}

/* How long the outer packets are. The kernel cuts trains into segments that have the headers each. */
static __always_inline int fits(struct __sk_buff *skb, const struct packet *p, const struct backplane *b)
{
	__u32 longest = skb->len - ETH_HLEN + (b->v6 ? OVERHEAD_V6 : OVERHEAD_V4);

	if (skb->gso_size)
		longest = skb->gso_size + p->headers + (b->v6 ? OVERHEAD_V6 : OVERHEAD_V4);
	return longest <= b->mtu;
}

/* Sends the packet to one peer, or to all of them that are alive, and drops it here. */
static __always_inline int forward(struct __sk_buff *skb, const struct packet *p, const struct backplane *b, enum message kind, const struct peer *to)
{
	struct sending s = { .skb = skb, .b = b, .kind = kind, .family = p->v4 ? 4 : 6, .inner = skb->len - ETH_HLEN };
	struct sealed sealed;
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	__u32 asked = b->asked;

	if (!fits(skb, p, b)) {
		count(COUNT_TOO_LONG);
		return TC_ACT_SHOT;
	}
	set_sealed(&sealed, kind, s.family, &p->conn, b->local);
	s.tag = seal(&sealed, b);
	flags |= b->v6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	if (!without_tag(skb) || bpf_skb_adjust_room(skb, b->v6 ? OVERHEAD_V6 : OVERHEAD_V4, BPF_ADJ_ROOM_MAC, flags)) {
		count(COUNT_UNSENT);
		return TC_ACT_SHOT;
	}
	count(to ? COUNT_STRAIGHT : COUNT_ASKED);
	if (!to)
		bpf_loop(asked > MOST_PEERS ? MOST_PEERS : asked, send_to, &s, 0);
	else if (b->v6)
		send_v6(&s, to);
	else
		send_v4(&s, to);
	return TC_ACT_SHOT;
}
