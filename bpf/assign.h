/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Gives a packet to a socket. */

/* The worker is chosen by the client's address alone, so that the flood of one client
 * fills one queue; of an IPv6 address by its first half, for a host has the other half
 * to itself. The group of SO_REUSEPORT would look at the ports, too. */
static __always_inline enum slot worker(const struct packet *p, struct keys *k)
{
	__u32 h = p->family == AF_INET ? p->client[3] : p->client[0] ^ p->client[1] * 0x9e3779b1;
	const __u32 *n;

	k->index = 0;
	n = bpf_map_lookup_elem(&workers, &k->index);
	if (!n || *n < 2)
		return UDP;
	h ^= h >> 16; /* the finalizer of MurmurHash3 */
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return UDP + ((__u64)h * *n >> 32);
}

/* An empty slot refuses. */
static __always_inline int assign(struct bpf_sk_lookup *ctx, enum slot slot, __u64 flags, struct keys *k)
{
	struct bpf_sock *sk;
	long err;

	k->slot = slot;
	sk = bpf_map_lookup_elem(&sockets, &k->slot);
	if (!sk)
		return SK_DROP;
	err = bpf_sk_assign(ctx, sk, flags);
	bpf_sk_release(sk);
	return err ? SK_DROP : SK_PASS;
}

/* To a listener of this process, or of the one on trial. When that dies the kernel empties its slot, and from the same
 * moment on this process has all. */
static __always_inline int assign_tcp(struct bpf_sk_lookup *ctx, __u32 shared, struct keys *k)
{
	struct bpf_sock *sk;
	long err;

	if (!shared)
		return assign(ctx, TCP, 0, k);
	k->slot = TCP_SHARE;
	sk = bpf_map_lookup_elem(&sockets, &k->slot);
	if (!sk)
		return assign(ctx, TCP, 0, k);
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err ? SK_DROP : SK_PASS;
}

/* To the socket of a service of this host, in which SO_REUSEPORT chooses as usual. What
 * becomes of the packet where there is no such socket, or one that takes none of its
 * family, is the verdict that is counted. */
static __always_inline enum verdict assign_local(struct bpf_sk_lookup *ctx, const struct binding *b, const struct packet *p, struct keys *k)
{
	struct bpf_sock *sk;
	long err;

	k->local = (struct local_key){ b->service, p->protocol };
	sk = bpf_map_lookup_elem(&local_sockets, &k->local);
	if (!sk)
		return b->away;
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err ? b->away : SOCKET;
}
