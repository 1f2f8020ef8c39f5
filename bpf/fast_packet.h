/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What a datagram is: its key, its headers, and what the program can forward. */

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
