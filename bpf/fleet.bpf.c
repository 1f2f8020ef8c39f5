// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/* Conns that survive when routers send their packets to another host of the fleet. Two programs at tc
 * ingress:
 *
 *   ask_peers   (devices of clients)  TCP without SYN -> served? -> a socket here? -> wrapped -> peers
 *   take_asked  (the backplane)       wrapped -> of a peer? -> a socket here? -> unwrapped -> the stack
 *
 * No host knows the conns of another. Who gets a packet of a conn that it does not have asks all peers,
 * by sending each a copy. The peer that has the conn takes it, and answers the client directly. User space
 * then tells the asker who has the conn ("mine"), so that later packets go straight there. The others answer
 * that they do not have it ("gone"), from here, because it must not depend on whether a process runs. When all
 * have said so twice, the asker's kernel gets the packet, and resets the conn: its host has died.
 *
 * UDP flows: user space asks, since it has the flows, and holds the datagram meanwhile. Of a flow that a
 * peer has, ask_peers sends the later datagrams straight there.
 *
 * Wrapped means: outer IP header, UDP header, struct header, and the packet from its IP header on.
 * The UDP checksum is 0, over IPv6, too (RFC 6935): the packet inside has its own, and no socket gets
 * the outer one.
 *
 * It loads without CAP_PERFMON: see steer.bpf.c. Needs Linux 5.17, for bpf_loop.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "prefixes.h"
#include "probes.h"
#include "fleet.h"
#include "siphash.h"

/* 1 if the kernel has the two flags below. */
const volatile __u32 has_decap = 0;

/* Of linux/bpf.h since Linux 6.3. */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

#define SECOND 1000000000ULL

#define IP_OFFSET 0x1fff
#define IP_MF 0x2000
#define IP_DF 0x4000
#define OUTER_TTL 64

/* A conn is given up only after this number of questions, too: a client may send seldom, and an answer may
 * get lost. */
#define LEAST_QUESTIONS 5

/* A peer must say twice that it does not have a conn, this time apart: the kernel may for a moment find
 * neither of two sockets of which one takes the other's place. */
#define DENY_AGAIN (SECOND / 2)

/* Of RFC 792 and RFC 4443: linux/icmp.h needs a C library for the bpf target. Both headers are
 * as long. */
enum icmp { DEST_UNREACH = 3, TIME_EXCEEDED = 11, PARAMETER_PROBLEM = 12, V6_INFORMATIONAL = 128 };
#define ICMP_HEADER 8

struct ports {
	__be16 src;
	__be16 dst;
};

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

static __always_inline void count(enum counter which)
{
	__u64 *n = bpf_map_lookup_elem(&fleet_counters, &which);

	if (n)
		(*n)++;
}

static __always_inline int load(struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
	return bpf_skb_load_bytes(skb, at, to, size) == 0;
}

static __always_inline void set_v4(__u32 *addr, __be32 v4)
{
	addr[0] = addr[1] = 0;
	addr[2] = bpf_htonl(0xffff);
	addr[3] = v4;
}

/* The addresses of a quoted packet are those of what this host has sent. */
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
	p->error = 1;
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

/* The listener that a packet gets which belongs to no conn may have sent a SYN cookie, and then the
 * packet is the end of a handshake. */
static __always_inline int completes_handshake(struct bpf_sock *sk, const struct packet *p)
{
	if (p->error)
		return 0;
	if (p->v4)
		return bpf_tcp_check_syncookie(sk, (void *)&p->ip4, sizeof(p->ip4), (void *)&p->tcp, sizeof(p->tcp)) == 0;
	return bpf_tcp_check_syncookie(sk, (void *)&p->ip6, sizeof(p->ip6), (void *)&p->tcp, sizeof(p->tcp)) == 0;
}

/* Established conns, half-open ones and those in TIME_WAIT are found first; if there is none, the kernel
 * looks for a listener, for which it runs the steering program: see probes.h. */
static __always_inline struct bpf_sock *find_socket(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock_tuple t = {};

	if (p->v4) {
		t.ipv4.saddr = p->conn.client[3];
		t.ipv4.daddr = p->conn.dst[3];
		t.ipv4.sport = p->conn.client_port;
		t.ipv4.dport = p->conn.dst_port;
		return bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(t.ipv6.saddr, p->conn.client, sizeof(p->conn.client));
	__builtin_memcpy(t.ipv6.daddr, p->conn.dst, sizeof(p->conn.dst));
	t.ipv6.sport = p->conn.client_port;
	t.ipv6.dport = p->conn.dst_port;
	return bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* Whether this host has the conn. */
static __always_inline int is_here(struct __sk_buff *skb, const struct packet *p)
{
	__u32 zero = 0, *probing = bpf_map_lookup_elem(&probes, &zero);
	struct bpf_sock *sk;
	int ours = 0;

	if (!probing)
		return 0;
	*(volatile __u32 *)probing = 1;
	sk = find_socket(skb, p);
	*(volatile __u32 *)probing = 0;
	if (sk) {
		ours = sk->state != BPF_TCP_LISTEN || completes_handshake(sk, p);
		bpf_sk_release(sk);
	}
	return ours;
}

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

/* Takes a token from the bucket that is full again at *full. Two cores at once may take one for two. */
static __always_inline int take(__u64 *full, __u64 now, __u64 spacing, __u64 burst)
{
	__u64 before = *full, next = (before > now ? before : now) + spacing;

	if (next > now + burst)
		return 0;
	*full = next;
	return 1;
}

/* Bounds what strangers can have the peers look up. */
static __always_inline int may_ask(const struct packet *p, const struct backplane *b, __u64 now)
{
	__u32 source[2] = { p->conn.client[0], p->conn.client[1] }, zero = 0;
	__u64 *all, *own, full = now + b->source_spacing;

	if (p->v4) {
		source[0] = p->conn.client[2];
		source[1] = p->conn.client[3];
	}
	own = bpf_map_lookup_elem(&fleet_sources, source);
	if (own && !take(own, now, b->source_spacing, b->source_burst))
		return 0;
	all = bpf_map_lookup_elem(&fleet_bucket, &zero);
	if (!all || !take(all, now, b->spacing, b->burst))
		return 0;
	if (!own) /* only who was asked for gets an entry: a flood pushes others out no faster */
		bpf_map_update_elem(&fleet_sources, source, &full, BPF_NOEXIST);
	return 1;
}

/* Whether what is known of a question is about something else: a later conn of the same ports; a conn whose
 * client gets data from whoever has it; or other peers. */
static __always_inline int is_another(const struct question *q, const struct packet *p, const struct backplane *b, const struct needed *n, __u64 now)
{
	return now - q->first >= 8 * b->patience || q->first < n->since || (!p->error && p->tcp.ack_seq != q->acknowledged);
}

/* Notes one more question about the conn, and says by what there is to be none: COUNT_DENIED, all peers have
 * said that they do not have it; COUNT_GIVEN_UP, nobody has said that he has it, for too long; or COUNTERS. */
static __always_inline enum counter give_up(const struct packet *p, const struct backplane *b, __u64 now)
{
	struct question *q = bpf_map_lookup_elem(&fleet_questions, &p->conn), first = { .first = now, .times = 1, .acknowledged = p->tcp.ack_seq };
	__u32 zero = 0;
	const struct needed *n = bpf_map_lookup_elem(&fleet_needed, &zero);

	if (!n)
		return COUNTERS;
	if (!q || is_another(q, p, b, n, now)) {
		bpf_map_update_elem(&fleet_questions, &p->conn, &first, BPF_ANY);
		return COUNTERS;
	}
	q->times++;
	if (n->bits && now < n->until && (q->denied_again & n->bits) == n->bits)
		return COUNT_DENIED;
	return now - q->first > b->patience && q->times > LEAST_QUESTIONS ? COUNT_GIVEN_UP : COUNTERS;
}

/* How long the outer packets are. The kernel cuts trains into segments that have the headers each. */
static __always_inline int fits(struct __sk_buff *skb, const struct packet *p, const struct backplane *b)
{
	__u32 longest = skb->len - ETH_HLEN + (b->v6 ? OVERHEAD_V6 : OVERHEAD_V4);

	if (skb->gso_size)
		longest = skb->gso_size + p->headers + (b->v6 ? OVERHEAD_V6 : OVERHEAD_V4);
	return longest <= b->mtu;
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
	if (bpf_skb_adjust_room(skb, b->v6 ? OVERHEAD_V6 : OVERHEAD_V4, BPF_ADJ_ROOM_MAC, flags)) {
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

/* The peer that has the UDP flow, as far as user space knows. */
static __always_inline const struct peer *flow_owner(const struct packet *p)
{
	struct moved *m = bpf_map_lookup_elem(&fleet_moved, &p->conn);
	const struct peer *to;
	__u64 now;

	if (!m)
		return NULL;
	now = bpf_ktime_get_ns();
	if (now > m->last + m->idle)
		return NULL;
	to = bpf_map_lookup_elem(&fleet_peers, m->peer);
	if (!to || !to->alive || !is_served(p->conn.dst, p->v4))
		return NULL;
	if (!p->error)
		m->last = now;
	return to;
}

SEC("tc")
int ask_peers(struct __sk_buff *skb)
{
	struct packet p = {};
	const struct backplane *b;
	const struct peer *to;
	const __u32 *who;
	enum counter why;
	__u32 zero = 0;
	__u64 now;
	int ok = 0;

	if (skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return TC_ACT_UNSPEC;
	b = bpf_map_lookup_elem(&fleet_backplane, &zero);
	if (!b || !b->asked)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		ok = read_v4(skb, ETH_HLEN, &p);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		ok = read_v6(skb, ETH_HLEN, &p);
	if (!ok)
		return TC_ACT_UNSPEC;
	if (p.udp) {
		to = flow_owner(&p);
		return to ? forward(skb, &p, b, FLOW, to) : TC_ACT_UNSPEC;
	}
	if (!is_served(p.conn.dst, p.v4))
		return TC_ACT_UNSPEC;
	if (p.syn) { /* a new conn: what was learnt is about an older one */
		bpf_map_delete_elem(&fleet_learnt, &p.conn);
		bpf_map_delete_elem(&fleet_questions, &p.conn);
		return TC_ACT_UNSPEC;
	}
	who = bpf_map_lookup_elem(&fleet_learnt, &p.conn);
	to = who ? bpf_map_lookup_elem(&fleet_peers, who) : NULL;
	if (to && to->alive && to->alive != QUIET)
		return forward(skb, &p, b, STRAIGHT, to);
	if (is_here(skb, &p))
		return TC_ACT_UNSPEC;
	now = bpf_ktime_get_ns();
	if (!may_ask(&p, b, now)) {
		count(COUNT_SHED);
		return TC_ACT_UNSPEC;
	}
	why = give_up(&p, b, now);
	if (why != COUNTERS) {
		count(why);
		return TC_ACT_UNSPEC;
	}
	return forward(skb, &p, b, ASK, NULL);
}

/* The outer packet, as read. */
struct outer {
	struct header header;
	__u32 from[4];
	__u32 inner; /* where the packet inside begins */
};

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

static __always_inline int tell(enum message kind, const struct outer *o, const struct packet *p)
{
	struct event e = { .kind = kind, .conn = p->conn };

	__builtin_memcpy(e.peer, o->from, sizeof(e.peer));
	if (bpf_ringbuf_output(&fleet_events, &e, sizeof(e), 0) == 0)
		return 1;
	count(COUNT_UNTOLD);
	return 0;
}

/* Has the asker told that the conn is here, and told again if it still asks after a second. */
static __always_inline void answer(const struct outer *o, const struct packet *p)
{
	const struct answer *last = bpf_map_lookup_elem(&fleet_answers, &p->conn);
	struct answer a = { .at = bpf_ktime_get_ns() };
	__u32 differ = 1;

#define ANOTHER(i) (last->peer[i] ^ o->from[i])
	if (last)
		differ = ANOTHER(0) | ANOTHER(1) | ANOTHER(2) | ANOTHER(3);
	if (last && !differ && a.at - last->at < SECOND)
		return;
	__builtin_memcpy(a.peer, o->from, sizeof(a.peer));
	if (tell(MINE, o, p))
		bpf_map_update_elem(&fleet_answers, &p->conn, &a, BPF_ANY);
}

/* The packet goes on as if the device had received what is inside. TC_ACT_OK: no program follows, that
 * could wrap it again. */
static __always_inline int unwrap(struct __sk_buff *skb, const struct packet *p, const struct backplane *b)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	__be16 protocol = p->v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	__s32 overhead = b->v6 ? OVERHEAD_V6 : OVERHEAD_V4;

	if (p->v4 == b->v6 && has_decap) {
		flags |= p->v4 ? ADJ_ROOM_DECAP_L3_IPV4 : ADJ_ROOM_DECAP_L3_IPV6;
	} else if (p->v4 == b->v6) { /* the outer header becomes as long as one of the inner family */
		if (bpf_skb_change_proto(skb, protocol, 0))
			return TC_ACT_SHOT;
		overhead = p->v4 ? OVERHEAD_V4 : OVERHEAD_V6;
	}
	if (bpf_skb_adjust_room(skb, -overhead, BPF_ADJ_ROOM_MAC, flags) ||
	    bpf_skb_store_bytes(skb, __builtin_offsetof(struct ethhdr, h_proto), &protocol, sizeof(protocol), 0))
		return TC_ACT_SHOT;
	count(COUNT_TAKEN);
	return TC_ACT_OK;
}

/* Sends the packet back as the message that the conn is not here. What follows the message says nothing: it is
 * the rest of the packet's headers, where the kernel may still have to write a checksum. It does not cut off the
 * payload of a packet from a host in this kernel, which is known to be wrapped. */
static __always_inline int deny(struct __sk_buff *skb, const struct outer *o, const struct packet *p, const struct backplane *b)
{
	struct sending s = { .skb = skb, .b = b, .kind = GONE };
	__u32 headers = p->v4 ? p->ip4.ihl * 4 + sizeof(p->tcp) : sizeof(p->ip6) + sizeof(p->tcp);
	struct peer to = {};
	struct sealed sealed;

	set_sealed(&sealed, GONE, 0, &p->conn, b->local);
	s.tag = seal(&sealed, b);
	__builtin_memcpy(to.addr, o->from, sizeof(to.addr));
	bpf_skb_change_tail(skb, o->inner + headers, 0);
	if (!load(skb, ETH_ALEN, to.mac, sizeof(to.mac)) || bpf_skb_store_bytes(skb, o->inner, &p->conn, sizeof(p->conn), 0)) {
		count(COUNT_UNSENT);
		return TC_ACT_SHOT;
	}
	s.inner = skb->len - o->inner;
	if (b->v6)
		send_v6(&s, &to);
	else
		send_v4(&s, &to);
	return TC_ACT_SHOT;
}

/* Notes that a peer does not have a conn which is asked for. Of two peers at once, one may have to say so
 * again. */
static __always_inline void note_denial(const struct outer *o, const struct packet *p)
{
	struct question *q = bpf_map_lookup_elem(&fleet_questions, &p->conn);
	const struct peer *peer = bpf_map_lookup_elem(&fleet_peers, o->from);
	__u64 bit;

	if (!q || !peer)
		return;
	bit = 1ULL << (peer->bit & 63);
	if (!(q->denied & bit))
		q->denied |= bit;
	else if (bpf_ktime_get_ns() - q->first >= DENY_AGAIN)
		q->denied_again |= bit;
}

static __always_inline void note_heard(const struct outer *o, const struct packet *p)
{
	struct heard *h = bpf_map_lookup_elem(&fleet_heard, o->from);

	if (!h)
		return;
	h->at = bpf_ktime_get_ns();
	if (o->header.kind == GONE && !p->conn.dst_port)
		h->answered = h->at;
}

/* Learns what a peer says about a conn, also while no process runs. The rest is for user space. */
static __always_inline int hear(const struct outer *o, const struct packet *p)
{
	const __u32 *who;
	__u32 differ;

	note_heard(o, p);
	if (o->header.kind == MINE) {
		bpf_map_update_elem(&fleet_learnt, &p->conn, o->from, BPF_ANY);
		bpf_map_delete_elem(&fleet_questions, &p->conn);
		count(COUNT_LEARNT);
		return TC_ACT_SHOT;
	}
	if (o->header.kind != GONE)
		return TC_ACT_UNSPEC;
	note_denial(o, p);
	who = bpf_map_lookup_elem(&fleet_learnt, &p->conn);
	if (!who)
		return TC_ACT_SHOT;
#define OF_ANOTHER(i) (who[i] ^ o->from[i])
	differ = OF_ANOTHER(0) | OF_ANOTHER(1) | OF_ANOTHER(2) | OF_ANOTHER(3);
	if (!differ) { /* else another peer has said meanwhile that the conn is its */
		bpf_map_delete_elem(&fleet_learnt, &p->conn);
		count(COUNT_GONE);
	}
	return TC_ACT_SHOT;
}

SEC("tc")
int take_asked(struct __sk_buff *skb)
{
	struct packet p = {};
	struct outer o = {};
	const struct backplane *b;
	__u32 zero = 0;
	int ok = 0;

	if (skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return TC_ACT_UNSPEC;
	b = bpf_map_lookup_elem(&fleet_backplane, &zero);
	if (!b)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP) && !b->v6)
		ok = read_outer_v4(skb, b, &o);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6) && b->v6)
		ok = read_outer_v6(skb, b, &o);
	if (!ok)
		return TC_ACT_UNSPEC;
	if (!read_sealed(skb, &o, &p) || !is_proven(&o, &p, b)) {
		count(COUNT_FORGED);
		return TC_ACT_SHOT;
	}
	if (!is_wrapped(&o))
		return hear(&o, &p);
	if (!p.udp && !p.conn.dst_port) /* about no conn: to hear of this kernel */
		return deny(skb, &o, &p, b);
	if (p.udp)
		ok = bpf_map_lookup_elem(&fleet_flows, &p.conn) != NULL;
	else
		ok = !p.syn && is_here(skb, &p);
	if (ok && is_served(p.conn.dst, p.v4)) {
		if (o.header.kind == ASK)
			answer(&o, &p);
		return unwrap(skb, &p, b);
	}
	count(COUNT_FOREIGN);
	if (p.udp)
		tell(LACK, &o, &p);
	else if (!ok || o.header.kind == STRAIGHT)
		return deny(skb, &o, &p, b);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
