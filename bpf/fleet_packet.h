/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Reads a packet of a client: its conn or flow, also that of an ICMP error about what was sent to the client. */

/* The packet of a client, as read. */
struct packet {
	struct conn conn;
	__u32 v4;
	__u32 udp;
	__u32 syn;
	__u32 error;   /* an ICMP error about what this host has sent to the client */
	__u32 headers; /* bytes from the IP header to the payload of TCP or UDP */
	struct iphdr ip4;
	struct ipv6hdr ip6;
	struct tcphdr tcp;
};

static __always_inline int load(struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
	return bpf_skb_load_bytes(skb, at, to, size) == 0;
}

/* Of linux/if_vlan.h, which user space does not have. */
#define VLAN_VID_MASK 0x0fff

/* Whether the stack takes the frame for one to this device: to its MAC address, and of no VLAN. A tag of VLAN 0 says
 * only a priority. */
static __always_inline int is_for_device(struct __sk_buff *skb)
{
	return skb->pkt_type == PACKET_HOST && (!skb->vlan_present || !(skb->vlan_tci & VLAN_VID_MASK));
}

/* The tag is the client's network's, and not for the backplane. */
static __always_inline int without_tag(struct __sk_buff *skb)
{
	return !skb->vlan_present || bpf_skb_vlan_pop(skb) == 0;
}

static __always_inline void set_v4(__u32 *addr, __be32 v4)
{
	addr[0] = addr[1] = 0;
	addr[2] = bpf_htonl(0xffff);
	addr[3] = v4;
}

static __always_inline void set_conn_v4(struct conn *c, __be32 client, __be32 dst)
{
	set_v4(c->client, client);
	set_v4(c->dst, dst);
}

static __always_inline void set_conn_v6(struct conn *c, const void *client, const void *dst)
{
	__builtin_memcpy(c->client, client, sizeof(c->client));
	__builtin_memcpy(c->dst, dst, sizeof(c->dst));
}

static __always_inline int read_tcp(struct __sk_buff *skb, __u32 at, __u32 length, struct packet *p)
{
	if (!load(skb, at, &p->tcp, sizeof(p->tcp)))
		return 0;
	p->conn.client_port = p->tcp.source;
	p->conn.dst_port = p->tcp.dest;
	p->syn = p->tcp.syn;
	p->headers = length + p->tcp.doff * 4;
	return 1;
}

static __always_inline int read_udp(struct __sk_buff *skb, __u32 at, __u32 length, struct packet *p)
{
	struct udphdr udp = {};

	if (!load(skb, at, &udp, sizeof(udp)))
		return 0;
	p->udp = 1;
	p->conn.client_port = udp.source;
	p->conn.dst_port = udp.dest;
	p->headers = length + sizeof(udp);
	return 1;
}

static __always_inline int has_conns(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* Fragments are passed: only the first has ports. */
static __always_inline int read_v4(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct iphdr quoted = {};
	struct ports ports = {};
	__u32 length;
	__u8 type = 0;

	if (!load(skb, at, &p->ip4, sizeof(p->ip4)) || p->ip4.version != 4 || p->ip4.ihl < 5 || p->ip4.frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return 0;
	p->v4 = 1;
	length = p->ip4.ihl * 4;
	at += length;
	if (p->ip4.protocol == IPPROTO_TCP) {
		set_conn_v4(&p->conn, p->ip4.saddr, p->ip4.daddr);
		return read_tcp(skb, at, length, p);
	}
	if (p->ip4.protocol == IPPROTO_UDP) {
		set_conn_v4(&p->conn, p->ip4.saddr, p->ip4.daddr);
		return read_udp(skb, at, length, p);
	}
	if (p->ip4.protocol != IPPROTO_ICMP || !load(skb, at, &type, sizeof(type)) ||
	    (type != DEST_UNREACH && type != TIME_EXCEEDED && type != PARAMETER_PROBLEM))
		return 0;
	at += ICMP_HEADER;
	if (!load(skb, at, &quoted, sizeof(quoted)) || !has_conns(quoted.protocol) || quoted.saddr != p->ip4.daddr ||
	    quoted.frag_off & bpf_htons(IP_OFFSET) || !load(skb, at + quoted.ihl * 4, &ports, sizeof(ports)))
		return 0;
	p->error = 1; /* the addresses are those of what this host has sent */
	p->udp = quoted.protocol == IPPROTO_UDP;
	set_conn_v4(&p->conn, quoted.daddr, quoted.saddr);
	p->conn.client_port = ports.dst;
	p->conn.dst_port = ports.src;
	return 1;
}

static __always_inline int read_v6(struct __sk_buff *skb, __u32 at, struct packet *p)
{
	struct ipv6hdr quoted = {};
	struct ports ports = {};
	__u32 differ;
	__u8 type = V6_INFORMATIONAL;

	if (!load(skb, at, &p->ip6, sizeof(p->ip6)) || p->ip6.version != 6)
		return 0;
	p->v4 = 0;
	at += sizeof(p->ip6);
	if (p->ip6.nexthdr == IPPROTO_TCP) {
		set_conn_v6(&p->conn, &p->ip6.saddr, &p->ip6.daddr);
		return read_tcp(skb, at, sizeof(p->ip6), p);
	}
	if (p->ip6.nexthdr == IPPROTO_UDP) {
		set_conn_v6(&p->conn, &p->ip6.saddr, &p->ip6.daddr);
		return read_udp(skb, at, sizeof(p->ip6), p);
	}
	if (p->ip6.nexthdr != IPPROTO_ICMPV6 || !load(skb, at, &type, sizeof(type)) || type >= V6_INFORMATIONAL)
		return 0;
	at += ICMP_HEADER;
	if (!load(skb, at, &quoted, sizeof(quoted)) || !has_conns(quoted.nexthdr) || !load(skb, at + sizeof(quoted), &ports, sizeof(ports)))
		return 0;
#define DIFFER(i) (quoted.saddr.in6_u.u6_addr32[i] ^ p->ip6.daddr.in6_u.u6_addr32[i])
	differ = DIFFER(0) | DIFFER(1) | DIFFER(2) | DIFFER(3);
	if (differ)
		return 0;
	p->error = 1;
	p->udp = quoted.nexthdr == IPPROTO_UDP;
	set_conn_v6(&p->conn, &quoted.daddr, &quoted.saddr);
	p->conn.client_port = ports.dst;
	p->conn.dst_port = ports.src;
	return 1;
}
