/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Takes the packet of a client out of a wrapped one. */

/* 1 if the kernel has the two flags below. */
const volatile __u32 has_decap = 0;

/* Of linux/bpf.h since Linux 6.3. */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

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
