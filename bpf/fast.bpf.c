// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/* Forwards the datagrams of UDP flows that user space has admitted, between client and origin:
 *
 *   datagram -> entry -> still allowed? -> header -> addresses, checksums -> neighbour
 *
 * User space decides about flows. Whatever is not plain is passed up untouched, and user space
 * serves it like any datagram: fragments, IP options, extension headers, what is too long for the
 * way out, what has no entry, what has one of an older generation.
 *
 * It runs at the ingress of every device with packets of clients or origins, before the packet
 * filter and connection tracking. It loads without CAP_PERFMON: see steer.bpf.c.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fast.h"

/* 1 if the kernel has bpf_ktime_get_coarse_ns, since Linux 5.11. Otherwise the verifier removes
 * the call. */
const volatile __u32 has_coarse_clock = 0;

/* BPF_F_IPV6 where the kernel has it, since Linux 6.16: otherwise it miscounts the sum of the whole
 * packet (CHECKSUM_COMPLETE) when an IPv6 address changes. */
const volatile __u32 ipv6_flag = 0;

/* What every link carries (RFC 791, RFC 8200): nobody can make datagrams go up that are shorter. */
#define MIN_MTU_V4 68
#define MIN_MTU_V6 1280

#define IP_OFFSET 0x1fff
#define IP_MF 0x2000

/* Where the headers of a datagram are: those of IPv4 have no options here. */
#define UDP_AT(p) (ETH_HLEN + (p)->ip)
#define PAYLOAD_AT(p) (UDP_AT(p) + sizeof(struct udphdr))

/* What a datagram is, as read. */
struct packet {
	struct flow_key key;
	__u32 v4;
	__u32 ip;      /* length of the IP header */
	__u32 payload; /* length of what follows the UDP header */
};

/* What becomes of it. */
struct route {
	struct flow_key to;
	__u32 device;
	__u32 mtu;
	__u32 puts;  /* enum flow_header */
	__u32 takes; /* the same */
	__u32 to_client; /* which counters */
	__u32 generation;
	__u64 id;
	__u64 idle;
	__u64 until;
};

static __always_inline int equal(const struct flow_key *a, const struct flow_key *b)
{
	__u32 differ = 0;

#define DIFFER(i) differ |= (a->src[i] ^ b->src[i]) | (a->dst[i] ^ b->dst[i]);
	DIFFER(0) DIFFER(1) DIFFER(2) DIFFER(3)
	return !(differ | (a->sport ^ b->sport) | (a->dport ^ b->dport));
}

/* A number that hardly two keys share: to tell whether memory that was read is still that of a key. */
static __always_inline __u64 tag_of(const struct flow_key *key)
{
	__u64 tag = (__u32)key->sport << 16 | key->dport;

#define MIX(words, i)                                                                \
	tag = (tag ^ ((__u64)words[i] << 32 | words[i + 1])) * 0x9e3779b97f4a7c15;   \
	tag ^= tag >> 32;
	MIX(key->src, 0) MIX(key->src, 2) MIX(key->dst, 0) MIX(key->dst, 2)
	return tag;
}

/* The datagram that answers one with key. */
static __always_inline void reverse(struct flow_key *to, const struct flow_key *key)
{
#define SWAP(i) to->src[i] = key->dst[i]; to->dst[i] = key->src[i];
	SWAP(0) SWAP(1) SWAP(2) SWAP(3)
	to->sport = key->dport;
	to->dport = key->sport;
}

static __always_inline __u64 clock(void)
{
	return has_coarse_clock ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns();
}

/* Without it clang makes of two pointers one and a constant that differs. */
#define OPAQUE(pointer) asm volatile("" : "+r"(pointer))

/* Of IPv4 ::ffff:a.b.c.d. Only a datagram that the kernel would deliver whole, and that a router
 * would still forward, is read. */
static __always_inline int read_v4(struct packet *p, const void *data, const void *end)
{
	const struct iphdr *ip = data + ETH_HLEN;
	const struct udphdr *udp = (const void *)(ip + 1);
	__u32 length;

	if ((const void *)(udp + 1) > end || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
		return 0;
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET) || ip->ttl <= 1)
		return 0;
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp) || bpf_ntohs(ip->tot_len) != sizeof(*ip) + length)
		return 0;
	p->v4 = 1;
	p->ip = sizeof(*ip);
	p->payload = length - sizeof(*udp);
	p->key.src[0] = p->key.src[1] = p->key.dst[0] = p->key.dst[1] = 0;
	p->key.src[2] = p->key.dst[2] = bpf_htonl(0xffff);
	p->key.src[3] = ip->saddr;
	p->key.dst[3] = ip->daddr;
	OPAQUE(udp);
	p->key.sport = udp->source;
	p->key.dport = udp->dest;
	return 1;
}

/* A checksum of 0 says that there is none, which RFC 8200 section 8.1 forbids. */
static __always_inline int read_v6(struct packet *p, const void *data, const void *end)
{
	const struct ipv6hdr *ip = data + ETH_HLEN;
	const struct udphdr *udp = (const void *)(ip + 1);
	__u32 length;

	if ((const void *)(udp + 1) > end || ip->version != 6 || ip->nexthdr != IPPROTO_UDP || ip->hop_limit <= 1)
		return 0;
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp) || bpf_ntohs(ip->payload_len) != length || !udp->check)
		return 0;
	p->v4 = 0;
	p->ip = sizeof(*ip);
	p->payload = length - sizeof(*udp);
	__builtin_memcpy(p->key.src, &ip->saddr, sizeof(p->key.src));
	__builtin_memcpy(p->key.dst, &ip->daddr, sizeof(p->key.dst));
	OPAQUE(udp);
	p->key.sport = udp->source;
	p->key.dport = udp->dest;
	return 1;
}

/* A frame may be longer than its datagram (Ethernet pads to 60 bytes), and never shorter. */
static __always_inline int read_packet(struct __sk_buff *skb, struct packet *p)
{
	const void *data = (const void *)(long)skb->data, *end = (const void *)(long)skb->data_end;
	int ok = 0;

	if (skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		ok = read_v4(p, data, end);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		ok = read_v6(p, data, end);
	return ok && skb->len >= PAYLOAD_AT(p) + p->payload && p->key.sport && p->key.dport;
}

/* Reads the header that an answer of the origin begins with. */
static __always_inline int read_spp(struct __sk_buff *skb, const struct packet *p, struct spp *h)
{
	return p->payload >= SPP_SIZE && bpf_skb_load_bytes(skb, PAYLOAD_AT(p), h, SPP_SIZE) == 0 &&
	       h->magic == bpf_htons(SPP_MAGIC);
}

/* The key of the flow that h belongs to. Its fields are not aligned to words. */
static __always_inline void key_of_spp(struct flow_key *key, const struct spp *h)
{
	__builtin_memcpy(key->src, h->client, sizeof(key->src));
	__builtin_memcpy(key->dst, h->dst, sizeof(key->dst));
	key->sport = h->client_port;
	key->dport = h->dst_port;
}

static __always_inline void read_limits(const struct flow_entry *f, struct route *r)
{
	r->generation = f->generation;
	r->id = f->id;
	r->idle = f->idle;
	r->until = f->until;
}

/* The route of a datagram by its entry, which another entry may take the place of at any time: user
 * space deletes, and the kernel uses the memory again. So the entry says last whose it is. */
static __always_inline int follow(const struct flow_entry *f, const struct packet *p, struct route *r)
{
	r->to = f->to;
	r->device = f->out;
	r->mtu = f->out_mtu;
	r->puts = f->puts;
	r->takes = f->takes;
	r->to_client = f->to_client;
	read_limits(f, r);
	asm volatile("" ::: "memory");
	return f->own == tag_of(&p->key);
}

/* The route of an answer by the entry of the client's datagrams, which the answer's header names. */
static __always_inline int follow_back(const struct flow_entry *f, const struct packet *p, const struct flow_key *named, struct route *r)
{
	struct flow_key expected;

	reverse(&r->to, named);
	reverse(&expected, &f->to);
	r->device = f->in;
	r->mtu = f->in_mtu;
	r->puts = NO_HEADER;
	r->takes = HEADER_SPP;
	r->to_client = 1;
	read_limits(f, r);
	asm volatile("" ::: "memory");
	return f->puts == HEADER_SPP && equal(&expected, &p->key) && f->own == tag_of(named);
}

/* The entry of a key. Most hosts have no entry in the large table, and then do not wait for its memory. */
static __always_inline const struct flow_entry *entry_of(const struct flow_key *key)
{
	const struct flow_entry *f = bpf_map_lookup_elem(&fast_flows_few, key);
	__u32 at = FAST_MANY;
	const __u32 *many;

	if (f)
		return f;
	many = bpf_map_lookup_elem(&fast_generation, &at);
	return many && *many ? bpf_map_lookup_elem(&fast_flows, key) : NULL;
}

/* Finds the entry that decides about a datagram. */
static __always_inline int find_route(struct __sk_buff *skb, const struct packet *p, struct route *r)
{
	const struct flow_entry *f = entry_of(&p->key);
	struct flow_key named = {};
	struct spp h = {};

	if (!f)
		return 0;
	if (!f->shared)
		return f->in == skb->ingress_ifindex && follow(f, p, r);
	if (!read_spp(skb, p, &h))
		return 0;
	key_of_spp(&named, &h);
	f = entry_of(&named);
	return f && !f->shared && f->out == skb->ingress_ifindex && follow_back(f, p, &named, r);
}

/* Flows of an older generation, and those whose time is over, are decided about again. */
static __always_inline int in_force(const struct route *r)
{
	__u32 at = FAST_NOW;
	const __u32 *now = bpf_map_lookup_elem(&fast_generation, &at);

	return now && r->generation == *now && (!r->until || bpf_ktime_get_boot_ns() < r->until);
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

static __always_inline __u32 size_of(__u32 header, __u32 v4)
{
	switch (header) {
	case HEADER_V2:
		return v4 ? sizeof(struct v2_v4) : sizeof(struct v2_v6);
	case HEADER_SPP:
		return SPP_SIZE;
	}
	return 0;
}

/* A train is cut into datagrams of gso_size bytes on its way out. It can't get a header for each, and
 * would be no train any more if its frame was cut. */
static __always_inline int fits(struct __sk_buff *skb, const struct packet *p, const struct route *r, const struct flow_usage *u)
{
	const volatile struct flow_usage *all = u; /* both: clang would compute a pointer to one */
	__u32 client_mtu = all->client_mtu, origin_mtu = all->origin_mtu;
	__u32 heard = r->to_client ? client_mtu : origin_mtu;
	__u32 payload = p->payload + size_of(r->puts, p->v4) - size_of(r->takes, p->v4);

	if (skb->gso_size) {
		if (r->puts || r->takes || skb->len != PAYLOAD_AT(p) + p->payload)
			return 0;
		payload = skb->gso_size;
	}
	payload += p->ip + sizeof(struct udphdr);
	return payload <= r->mtu && (!heard || payload <= heard);
}

/* The size of a payload, which is 1 to all of its place, in a way that the verifier can follow. */
static __always_inline __u64 bounded(__u64 size)
{
	asm volatile("" : "+r"(size));
	return ((size - 1) & (sizeof(((struct payload *)0)->bytes) - 1)) + 1;
}

/* The kernel computes the UDP checksum of some packets only when they leave the host
 * (CHECKSUM_PARTIAL: veth, virtio), from where the UDP header was when they arrived. So that header
 * stays in its place, and the payload moves. */
static __always_inline struct payload *read_payload(struct __sk_buff *skb, __u32 from, __u32 size)
{
	__u32 zero = 0;
	struct payload *p = bpf_map_lookup_elem(&fast_scratch, &zero);

	if (!p || size > sizeof(p->bytes) || (size && bpf_skb_load_bytes(skb, from, p->bytes, bounded(size))))
		return NULL;
	return p;
}

/* What a sum of words in ones' complement changes by if one becomes another. */
#define CHANGE(old, new) ((__u64)(__u32)~(old) + (__u32)(new))

/* The sum of two addresses, or of two pairs of them. */
static __always_inline __u64 change_of_addresses(const struct flow_key *old, const struct flow_key *new, __u32 v4)
{
	__u64 sum = CHANGE(old->src[3], new->src[3]) + CHANGE(old->dst[3], new->dst[3]);

#define BOTH(i) CHANGE(old->src[i], new->src[i]) + CHANGE(old->dst[i], new->dst[i])
	if (!v4)
		sum += BOTH(0) + BOTH(1) + BOTH(2);
	return sum;
}

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

static __always_inline __u16 fold_whole(__u64 sum)
{
	__u32 half = fold(sum);

	half = (half & 0xffff) + (half >> 16);
	return (half & 0xffff) + (half >> 16);
}

/* Writes UDP's checksum. changed is the sum of the addresses' changes, added that of what has come
 * before the payload. Where the checksum has not been computed yet, only the former counts. */
static __always_inline void write_checksum(struct __sk_buff *skb, const struct packet *p, const struct flow_key *to, __u32 length, __u64 changed, __u64 added)
{
	__u64 lengths = CHANGE(bpf_htons(sizeof(struct udphdr) + p->payload), bpf_htons(length));
	__u64 ports = CHANGE(p->key.sport, to->sport) + CHANGE(p->key.dport, to->dport);
	__u64 flags = BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0;
	__u32 check = UDP_AT(p) + __builtin_offsetof(struct udphdr, check);

	if (!p->v4)
		flags |= ipv6_flag;
	bpf_l4_csum_replace(skb, check, 0, fold(changed + lengths), flags);
	bpf_l4_csum_replace(skb, check, 0, fold(ports + lengths + added), BPF_F_MARK_MANGLED_0);
}

static __always_inline void write_udp(struct udphdr *udp, const struct flow_key *to, __u32 length)
{
	udp->source = to->sport;
	udp->dest = to->dport;
	udp->len = bpf_htons(length);
}

struct headers_v4 {
	struct iphdr ip;
	struct udphdr udp;
};

struct headers_v6 {
	struct ipv6hdr ip;
	struct udphdr udp;
};

/* IPv4's checksum comes from the old one, so that a datagram whose header was damaged does not become
 * a valid one. The program stores bytes by a call: if it wrote into packets itself, the kernel would
 * copy the beginning of each that is cloned, such as all of TCP. */
static __always_inline int write_v4(struct __sk_buff *skb, const struct flow_key *to, __u32 length, __u64 changed)
{
	const void *data = (const void *)(long)skb->data, *end = (const void *)(long)skb->data_end;
	struct headers_v4 h;
	__u16 total, *hops = (__u16 *)&h.ip.ttl, before; /* with the protocol */

	if (data + ETH_HLEN + sizeof(h) > end)
		return 0;
	__builtin_memcpy(&h, data + ETH_HLEN, sizeof(h));
	total = bpf_htons(sizeof(h.ip) + length);
	before = *hops;
	h.ip.ttl--;
	h.ip.check = ~fold_whole((__u16)~h.ip.check + changed + CHANGE(h.ip.tot_len, total) + CHANGE(before, *hops));
	h.ip.tot_len = total;
	h.ip.saddr = to->src[3];
	h.ip.daddr = to->dst[3];
	write_udp(&h.udp, to, length);
	return bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h), 0) == 0;
}

static __always_inline int write_v6(struct __sk_buff *skb, const struct flow_key *to, __u32 length)
{
	const void *data = (const void *)(long)skb->data, *end = (const void *)(long)skb->data_end;
	struct headers_v6 h;

	if (data + ETH_HLEN + sizeof(h) > end)
		return 0;
	__builtin_memcpy(&h, data + ETH_HLEN, sizeof(h));
	h.ip.hop_limit--;
	h.ip.payload_len = bpf_htons(length);
	__builtin_memcpy(&h.ip.saddr, to->src, sizeof(h.ip.saddr));
	__builtin_memcpy(&h.ip.daddr, to->dst, sizeof(h.ip.daddr));
	write_udp(&h.udp, to, length);
	return bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h), 0) == 0;
}

/* Headers name the client and dst, as the client's datagram has them. */
static __always_inline void write_header(void *header, const struct packet *p, __u32 kind)
{
	static const __u8 signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

	if (kind == HEADER_SPP) {
		struct spp *h = header;
		h->magic = bpf_htons(SPP_MAGIC);
		__builtin_memcpy(h->client, p->key.src, sizeof(h->client));
		__builtin_memcpy(h->dst, p->key.dst, sizeof(h->dst));
		h->client_port = p->key.sport;
		h->dst_port = p->key.dport;
	} else if (p->v4) {
		struct v2_v4 *h = header;
		__builtin_memcpy(h->signature, signature, sizeof(signature));
		h->command = V2_PROXY;
		h->family = V2_UDP4;
		h->length = bpf_htons(12);
		h->client = p->key.src[3];
		h->dst = p->key.dst[3];
		h->client_port = p->key.sport;
		h->dst_port = p->key.dport;
	} else {
		struct v2_v6 *h = header;
		__builtin_memcpy(h->signature, signature, sizeof(signature));
		h->command = V2_PROXY;
		h->family = V2_UDP6;
		h->length = bpf_htons(36);
		__builtin_memcpy(h->client, p->key.src, sizeof(h->client));
		__builtin_memcpy(h->dst, p->key.dst, sizeof(h->dst));
		h->client_port = p->key.sport;
		h->dst_port = p->key.dport;
	}
}

/* Stores a header of that many bytes, and the payload behind it. The checksum covers whole words: what
 * is left of SPP's is dst_port. */
#define STORE(size)                                                                         \
	do {                                                                                \
		__u8 *header = b->bytes - (size);                                           \
		write_header(header, p, kind);                                              \
		*sum = bpf_csum_diff(NULL, 0, (void *)header, (size) & ~3, 0);              \
		if (p->payload)                                                             \
			bpf_skb_store_bytes(skb, at, header, (size) + bounded(p->payload), 0); \
		else                                                                        \
			bpf_skb_store_bytes(skb, at, header, (size), 0);                    \
	} while (0)

/* Puts the header before the payload, and its sum into *sum. Until it returns 1 the datagram is as it
 * was. */
static __always_inline int put_header(struct __sk_buff *skb, const struct packet *p, __u32 kind, __u64 *sum)
{
	__u32 at = PAYLOAD_AT(p);
	struct payload *b = read_payload(skb, at, p->payload);

	if (!b || bpf_skb_change_tail(skb, at + size_of(kind, p->v4) + p->payload, 0))
		return 0;
	if (kind == HEADER_SPP) {
		STORE(SPP_SIZE);
		*sum += p->key.dport;
	} else if (p->v4) {
		STORE(sizeof(struct v2_v4));
	} else {
		STORE(sizeof(struct v2_v6));
	}
	return 1;
}

/* Cuts off the header, which must be the one of the flow. */
static __always_inline int take_header(struct __sk_buff *skb, const struct packet *p, const struct route *r, __u64 *sum)
{
	__u32 at = PAYLOAD_AT(p), size = p->payload - SPP_SIZE;
	struct flow_key named = {}, expected;
	struct payload *b;
	struct spp h = {};

	if (!read_spp(skb, p, &h))
		return 0;
	key_of_spp(&named, &h);
	reverse(&expected, &r->to);
	if (!equal(&named, &expected))
		return 0;
	*sum = bpf_csum_diff((void *)&h, sizeof(h), NULL, 0, 0);
	b = read_payload(skb, at + SPP_SIZE, size);
	if (b && size)
		bpf_skb_store_bytes(skb, at, b->bytes, bounded(size), 0);
	return b != NULL;
}

/* The frame becomes as long as the datagram: without the header that was cut off, and without what
 * Ethernet has added. */
static __always_inline int cut_frame(struct __sk_buff *skb, __u32 size)
{
	return skb->len == size || bpf_skb_change_tail(skb, size, 0) == 0;
}

static __always_inline int forward(struct __sk_buff *skb, const struct packet *p, const struct route *r)
{
	__u32 payload = p->payload + size_of(r->puts, p->v4) - size_of(r->takes, p->v4);
	__u32 length = sizeof(struct udphdr) + payload;
	__u64 changed, sum = 0;

	if (r->puts && !put_header(skb, p, r->puts, &sum))
		return TC_ACT_UNSPEC;
	if (r->takes && !take_header(skb, p, r, &sum))
		return TC_ACT_UNSPEC;
	if (!cut_frame(skb, PAYLOAD_AT(p) + payload))
		return r->takes ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	changed = change_of_addresses(&p->key, &r->to, p->v4);
	write_checksum(skb, p, &r->to, length, changed, sum);
	if (!(p->v4 ? write_v4(skb, &r->to, length, changed) : write_v6(skb, &r->to, length)))
		return TC_ACT_SHOT;
	return bpf_redirect_neigh(r->device, NULL, 0, 0);
}

#define ICMP_DEST_UNREACH 3 /* RFC 792, with the MTU of RFC 1191 */
#define ICMP_FRAG_NEEDED 4
#define ICMPV6_PACKET_TOO_BIG 2 /* RFC 4443 */

/* An error that a datagram was too long, and how that began, if it had neither options nor extension
 * headers. */
struct error_v4 {
	__u8 type;
	__u8 code;
	__u16 check;
	__u16 unused;
	__be16 mtu;
	struct iphdr ip;
	struct udphdr udp;
};

struct error_v6 {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 mtu;
	struct ipv6hdr ip;
	struct udphdr udp;
};

/* The key is that of the answer to the datagram. 0: it is another packet. */
static __always_inline __u32 read_error_v4(struct __sk_buff *skb, struct flow_key *key)
{
	struct error_v4 e = {};

	if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr), &e, sizeof(e)) || e.type != ICMP_DEST_UNREACH ||
	    e.code != ICMP_FRAG_NEEDED || e.ip.ihl != 5 || e.ip.protocol != IPPROTO_UDP)
		return 0;
	key->src[2] = key->dst[2] = bpf_htonl(0xffff);
	key->src[3] = e.ip.daddr;
	key->dst[3] = e.ip.saddr;
	key->sport = e.udp.dest;
	key->dport = e.udp.source;
	return bpf_ntohs(e.mtu) < MIN_MTU_V4 ? MIN_MTU_V4 : bpf_ntohs(e.mtu);
}

static __always_inline __u32 read_error_v6(struct __sk_buff *skb, struct flow_key *key)
{
	struct error_v6 e = {};

	if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &e, sizeof(e)) || e.type != ICMPV6_PACKET_TOO_BIG ||
	    e.ip.nexthdr != IPPROTO_UDP)
		return 0;
	__builtin_memcpy(key->src, &e.ip.daddr, sizeof(key->src));
	__builtin_memcpy(key->dst, &e.ip.saddr, sizeof(key->dst));
	key->sport = e.udp.dest;
	key->dport = e.udp.source;
	return bpf_ntohl(e.mtu) < MIN_MTU_V6 ? MIN_MTU_V6 : bpf_ntohl(e.mtu);
}

/* Notes that datagrams of a flow have to be shorter, and passes up what is not. The kernel hears of it
 * only where user space has a socket. A forged error can do no more than that. Of answers that flows
 * share nothing is noted: user space has the socket that hears of it. */
static __always_inline void note_error(struct __sk_buff *skb)
{
	const void *data = (const void *)(long)skb->data, *end = (const void *)(long)skb->data_end;
	const struct ipv6hdr *v6 = data + ETH_HLEN;
	const struct iphdr *v4 = data + ETH_HLEN;
	struct flow_key key = {};
	const struct flow_entry *f;
	struct flow_usage *u;
	__u32 mtu = 0;
	__u64 id;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if ((const void *)(v4 + 1) <= end && v4->protocol == IPPROTO_ICMP && v4->ihl == 5)
			mtu = read_error_v4(skb, &key);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if ((const void *)(v6 + 1) <= end && v6->nexthdr == IPPROTO_ICMPV6)
			mtu = read_error_v6(skb, &key);
	}
	if (!mtu || mtu > 0xffff)
		return;
	f = entry_of(&key);
	if (!f || f->shared)
		return;
	id = f->id;
	u = usage_of(id);
	if (!u || u->id != id)
		return;
	if (f->to_client) { /* so the datagram went to the origin */
		OPAQUE(u);
		u->origin_mtu = mtu;
	} else {
		u->client_mtu = mtu;
	}
}

SEC("tc")
int forward_admitted(struct __sk_buff *skb)
{
	struct packet p = {};
	struct route r = {};
	struct flow_usage *u;
	__u32 packets = 1;
	__u64 now;
	int verdict;

	if (!read_packet(skb, &p)) {
		note_error(skb);
		return TC_ACT_UNSPEC;
	}
	if (!find_route(skb, &p, &r) || !in_force(&r))
		return TC_ACT_UNSPEC;
	u = usage_of(r.id);
	if (!u || u->id != r.id)
		return TC_ACT_UNSPEC;
	now = clock();
	if ((__u64)quiet_for(u, now) > r.idle || !fits(skb, &p, &r, u))
		return TC_ACT_UNSPEC;
	if (skb->gso_size)
		packets = skb->gso_segs;
	verdict = forward(skb, &p, &r);
	if (verdict == TC_ACT_REDIRECT)
		count(u, &r, now, packets, p.payload - size_of(r.takes, p.v4));
	return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
