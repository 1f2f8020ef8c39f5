/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Keys of maps that are built for one packet, and values to be written. */

struct tuple {
	__u32 client[4];
	__u32 dst[4];
	__u32 protocol;
	__u16 client_port;
	__u16 port;
};

struct admission {
	__u64 until;
	__u64 looks;
};

struct dst {
	__u32 number; /* of the route */
	__u32 addr[4];
};

/* Who shares one account: an IPv4 /24 or an IPv6 /56, which is what one customer of a
 * provider has. */
struct network {
	__u32 number; /* of the route */
	__u32 kind;
	__u32 addr[2]; /* IPv4 as ffff:a.b.c */
};

/* A door that is open to a client. The next process may have other numbers for the routes. */
struct door {
	__u64 route;	 /* user space's hash of the name */
	__u32 client[4]; /* IPv4 as ::ffff:a.b.c.d */
};

struct knock_port {
	__u32 group; /* policy.knocks */
	__u32 port;
};

enum kind { CONNS, DATAGRAMS };

/* What a network has taken: ns of its route's spacing. */
struct use {
	__u64 ns;
	__u64 epoch; /* when it was written, in halvings */
};

/* All that lies on the stack for a helper to read, each in a place of its own for the whole
 * run. Were these locals, clang would give the place of one to another, and without
 * CAP_PERFMON the verifier of Linux 5.10 to 6.1 refuses a write of less than eight bytes
 * to where eight have been written ("attempt to corrupt spilled pointer on stack"). A map
 * for each CPU would not do: a run in a process can be interrupted by that of a packet. */
struct keys {
	__u32 index;
	enum slot slot;
	struct prefix_v4 v4;
	struct prefix_v6 v6;
	struct source source;
	struct service service;
	struct tuple tuple;
	struct admission admission;
	struct dst dst;
	__u64 full;
	struct network network;
	struct use use;
	struct local_key local;
	struct door door;
	struct knock_port knock_port;
	__u64 until;
};
