/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

#define AF_INET 2

struct packet {
	__u32 family;
	__u32 protocol;
	__u32 question;
	__u32 client[4]; /* IPv4 as ::ffff:a.b.c.d */
	__u32 dst[4];	 /* the same */
	__u32 port;	 /* of dst, host byte order */
	__u16 client_port;
};

/* All fields, whether needed or not, and through volatile: of a load in a branch
 * clang makes one through a computed pointer into ctx, which the verifier refuses. */
static __always_inline void read_packet(struct packet *p, const volatile struct bpf_sk_lookup *ctx)
{
	__u32 client_v4 = ctx->remote_ip4, dst_v4 = ctx->local_ip4;

	p->family = ctx->family;
	p->protocol = ctx->protocol;
	p->port = ctx->local_port;
	p->client_port = ctx->remote_port;
	p->client[0] = ctx->remote_ip6[0];
	p->client[1] = ctx->remote_ip6[1];
	p->client[2] = ctx->remote_ip6[2];
	p->client[3] = ctx->remote_ip6[3];
	p->dst[0] = ctx->local_ip6[0];
	p->dst[1] = ctx->local_ip6[1];
	p->dst[2] = ctx->local_ip6[2];
	p->dst[3] = ctx->local_ip6[3];
	if (p->family == AF_INET) {
		p->client[0] = p->client[1] = p->dst[0] = p->dst[1] = 0;
		p->client[2] = p->dst[2] = bpf_htonl(0xffff);
		p->client[3] = client_v4;
		p->dst[3] = dst_v4;
	}
}

/* What user space has added to the protocol. Packets for other addresses do not come here. */
static __always_inline void split_question(struct packet *p)
{
	p->question = p->protocol & ASKED_FOR_ALL;
	p->protocol &= ~ASKED_FOR_ALL;
}
