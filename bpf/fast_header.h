/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The header before the payload: put, or checked and cut off. The payload moves. */

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
