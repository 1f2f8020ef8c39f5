/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The flows that user space has admitted, and the headers that they have. */

#define SECOND 1000000000ULL

/* Addresses and ports of a datagram, in network byte order; IPv4 as ::ffff:a.b.c.d. */
struct flow_key {
	__u32 src[4];
	__u32 dst[4];
	__be16 sport;
	__be16 dport;
};

/* What stands before the payload: as in package bpf/fastflow. */
enum flow_header { NO_HEADER, HEADER_V2, HEADER_SPP };

/* What becomes of the datagrams of a key. A flow has an entry for the client's and one for the
 * origin's. The program only reads them. An entry is `shared` if answers for many flows have its
 * key: the header that they begin with names the client and dst, and the entry of the client's
 * datagrams decides. With the kernel's part and its key it has 176 bytes: up to 184 the kernel takes
 * 192 for it, then 256. */
struct flow_entry {
	__u64 own;	    /* tag_of the entry's key: see still */
	__u64 id;	    /* of the flow's fast_usage */
	__u64 idle;	    /* ns without a datagram that end the flow */
	__u64 until;	    /* by bpf_ktime_get_boot_ns; 0: there is no end */
	struct flow_key to; /* what the datagram has when it leaves */
	__u32 generation;
	__u32 in;	    /* interface index: where such datagrams arrive */
	__u32 out;	    /* and where they leave */
	__u16 in_mtu;	    /* of the way back */
	__u16 out_mtu;
	__u8 puts;	    /* enum flow_header: put before the payload */
	__u8 takes;	    /* cut off */
	__u8 to_client;	    /* these are the origin's datagrams */
	__u8 shared;
};

/* What the program has forwarded of a flow in one direction: each has a cache line of its own, for the
 * cores that serve client and origin would take a common one from each other with every datagram. User
 * space sets it before the entries, and reads it in mapped memory. */
struct flow_usage {
	__u64 id;   /* whose this is: the index, and above it how often it was given to a flow */
	__u64 last; /* datagram, by CLOCK_MONOTONIC; it may be a second late */
	__u64 packets;
	__u64 bytes; /* of payload, without headers that are put or taken */
	__u16 mtu;   /* of whole packets, as an ICMP error has said it since; 0: none has */
	__u16 pad;
	__u32 state; /* user space's alone, and only that of the way to the origin */
	__u64 pads[3];
};

/* The most flows, a power of two. */
#define FAST_FLOWS (1 << 17)

/* The entries that the table of few has no room for. Memory is allocated with each flow: a full table
 * would take 54 MB. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * FAST_FLOWS);
	__type(key, struct flow_key);
	__type(value, struct flow_entry);
} fast_flows SEC(".maps");

/* The first entries: of 2,048 flows. The buckets of fast_flows lie in 1,024 pages, and those of this table
 * in 16. With paced flows, which find the caches of the processor cold, a run of the program takes a
 * quarter less time. */
#define FAST_FEW (1 << 12)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FAST_FEW);
	__type(key, struct flow_key);
	__type(value, struct flow_entry);
} fast_flows_few SEC(".maps");

/* An array, of 16 MB: each lookup in a hash would wait twice for memory. The first half is for the ways to
 * origins, the second for those to clients. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * FAST_FLOWS);
	__type(key, __u32);
	__type(value, struct flow_usage);
} fast_usage SEC(".maps");

/* FAST_NOW: entries with another number than this one are dead. User space raises it when anything
 * changes that a decision stands on. FAST_MANY: 1 if fast_flows has ever had an entry. */
enum { FAST_NOW, FAST_MANY, FAST_NUMBERS };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FAST_NUMBERS);
	__type(key, __u32);
	__type(value, __u32);
} fast_generation SEC(".maps");

/* Where a payload is while it moves, and the header before it. With jumbo frames the payload has up to
 * 9,000 bytes; the size is a power of two. */
struct payload {
	__u8 header[64];
	__u8 bytes[1 << 14];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct payload);
} fast_scratch SEC(".maps");

#define SPP_SIZE 38
#define SPP_MAGIC 0x56ec

/* The Simple Proxy Protocol's header, of SPP_SIZE bytes. */
struct spp {
	__be16 magic;
	__u8 client[16];
	__u8 dst[16];
	__be16 client_port;
	__be16 dst_port;
	__u16 pad; /* to whole words, for the checksum */
};

#define V2_PROXY 0x21
#define V2_UDP4 0x12
#define V2_UDP6 0x22

/* The PROXY protocol's headers, version 2. */
struct v2_v4 {
	__u8 signature[12];
	__u8 command;
	__u8 family;
	__be16 length;
	__be32 client;
	__be32 dst;
	__be16 client_port;
	__be16 dst_port;
};

struct v2_v6 {
	__u8 signature[12];
	__u8 command;
	__u8 family;
	__be16 length;
	__u8 client[16];
	__u8 dst[16];
	__be16 client_port;
	__be16 dst_port;
};
