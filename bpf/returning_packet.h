/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Reads what an origin sends, and ICMP errors about what was sent to one. */

struct fragment_header { /* RFC 8200 section 4.5 */
	__u8 next;
	__u8 reserved;
	__be16 offset; /* in the upper 13 bits, which count 8 bytes; the last bit: more follow */
	__be32 id;
};

struct packet {
	__u32 v4;
	__u32 protocol;
	__u32 payload;	/* its offset from the IP header */
	__u32 src[4];	/* IPv4 in the last word, network byte order */
	__u32 dst[4];
	__u32 fragment; /* it is one */
	__u32 offset;	/* of the fragment; only the first has ports */
	__u32 id;
	struct ports ports;
};

/* The place of an IP header counts from the network header, so that a link layer does not
 * matter (Linux 4.18). */
static __always_inline int load(struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
	return bpf_skb_load_bytes_relative(skb, at, to, size, BPF_HDR_START_NET) == 0;
}

static __always_inline int read_v4(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct iphdr ip = {};
	__u32 fragment;

	if (!load(skb, at, &ip, sizeof(ip)))
		return 0;
	fragment = bpf_ntohs(ip.frag_off);
	p->v4 = 1;
	p->protocol = ip.protocol;
	p->payload = at + ip.ihl * 4;
	p->src[0] = p->src[1] = p->src[2] = p->dst[0] = p->dst[1] = p->dst[2] = 0;
	p->src[3] = ip.saddr;
	p->dst[3] = ip.daddr;
	p->fragment = fragment & (IP_MF | IP_OFFSET);
	p->offset = fragment & IP_OFFSET;
	p->id = ip.id;
	return 1;
}

/* Of the extension headers only that of a fragment is read. */
static __always_inline int read_v6(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct ipv6hdr ip = {};
	struct fragment_header f = {};

	if (!load(skb, at, &ip, sizeof(ip)))
		return 0;
	p->v4 = 0;
	p->protocol = ip.nexthdr;
	p->payload = at + sizeof(ip);
	__builtin_memcpy(p->src, &ip.saddr, sizeof(p->src));
	__builtin_memcpy(p->dst, &ip.daddr, sizeof(p->dst));
	p->fragment = p->offset = 0;
	if (ip.nexthdr != IPPROTO_FRAGMENT)
		return 1;
	if (!load(skb, at + sizeof(ip), &f, sizeof(f)))
		return 0;
	p->protocol = f.next;
	p->payload += sizeof(f);
	p->fragment = 1;
	p->offset = bpf_ntohs(f.offset) >> 3;
	p->id = f.id;
	return 1;
}

static __always_inline int read_ports(struct __sk_buff *skb, struct packet *p)
{
	return load(skb, p->payload, &p->ports, sizeof(p->ports));
}

/* An ICMP error quotes the packet that it is about: what this host has sent. p becomes the
 * answer to that. */
static __always_inline int read_error(struct __sk_buff *skb, struct packet *p)
{
	__u32 addr, quoted = p->payload + ICMP_HEADER;
	struct ports ports;
	__u8 type = 0;
	int ok;

	if (!load(skb, p->payload, &type, sizeof(type)))
		return 0;
	if (p->v4) {
		if (type != DEST_UNREACH && type != TIME_EXCEEDED && type != PARAMETER_PROBLEM)
			return 0;
		ok = read_v4(skb, quoted, p);
	} else {
		if (type >= V6_INFORMATIONAL)
			return 0;
		ok = read_v6(skb, quoted, p);
	}
	if (!ok || p->offset || !read_ports(skb, p))
		return 0;
	p->fragment = 0;
#define SWAP(i) addr = p->src[i]; p->src[i] = p->dst[i]; p->dst[i] = addr;
	SWAP(0) SWAP(1) SWAP(2) SWAP(3)
	ports = p->ports;
	p->ports = (struct ports){ ports.dst, ports.src };
	return 1;
}
