/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The addresses, the lengths and the checksums that a datagram leaves with. */

/* BPF_F_IPV6 where the kernel has it, since Linux 6.16: otherwise it miscounts the sum of the whole
 * packet (CHECKSUM_COMPLETE) when an IPv6 address changes. */
const volatile __u32 ipv6_flag = 0;

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
