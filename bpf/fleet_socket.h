/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Whether this host has a TCP conn. */

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
