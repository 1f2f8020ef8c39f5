/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Parts of headers, for all programs that read packets. */

/* Of the 16 bits of frag_off, in host byte order. */
#define IP_OFFSET 0x1fff
#define IP_MF 0x2000
#define IP_DF 0x4000

/* Of RFC 792 and RFC 4443: linux/icmp.h needs a C library for the bpf target. Both headers are
 * as long. */
enum icmp { DEST_UNREACH = 3, TIME_EXCEEDED = 11, PARAMETER_PROBLEM = 12, V6_INFORMATIONAL = 128 };
#define ICMP_HEADER 8

struct ports {
	__be16 src;
	__be16 dst;
};
