/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* ICMP errors about the MTU of a flow's way. */

/* What every link carries (RFC 791, RFC 8200): nobody can make datagrams go up that are shorter. */
#define MIN_MTU_V4 68
#define MIN_MTU_V6 1280

#define ICMP_FRAG_NEEDED 4 /* a code of DEST_UNREACH, with the MTU of RFC 1191 */
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

	if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr), &e, sizeof(e)) || e.type != DEST_UNREACH ||
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
	u = usage_of(id, !f->to_client); /* the error comes back on the other way */
	if (u && u->id == id)
		u->mtu = mtu;
}
