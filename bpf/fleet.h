/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What user space and the programs of fleet.bpf.c tell each other, and what peers send each other. */

#define MOST_PEERS 64
#define FLEET_PORT 6793
#define FLEET_VERSION 1

#define SECOND 1000000000ULL

/* What a packet of the backplane is. ASK, STRAIGHT and FLOW hold a packet of a client; user space sends
 * the others. A wrapped packet has been on the backplane once: a second time would be a loop.
 *
 * TCP is asked for with the packet itself, by the program. A datagram waits in user space while that
 * asks: if nobody has the flow, it begins one there. */
enum message {
	ASK = 1,	/* to all peers: who has the conn? */
	STRAIGHT, /* to the one that said so */
	MINE,	/* this host has the conn: send its packets here */
	GONE,	/* it has not, or no more: the program answers so itself */
	HELLO,
	BYE,
	SEEK, /* to all peers: who has the UDP flow? */
	HAVE, /* this host has */
	LACK, /* it has not, or no more */
	FLOW, /* a datagram, to the one that said so */
	MESSAGES,
};

/* Follows the UDP header. */
struct header {
	__u8 version;
	__u8 kind;   /* enum message */
	__u8 family; /* of the packet inside: 4 or 6; 0: there is none */
	__u8 hops;   /* 1 */
	__u32 zero;
	__u64 tag;   /* SipHash-2-4 of struct sealed, little endian */
} __attribute__((packed, aligned(4)));

/* A conn by what its client's packets have, in network byte order; IPv4 as ::ffff:a.b.c.d. */
struct conn {
	__u32 client[4];
	__u32 dst[4];
	__be16 client_port;
	__be16 dst_port;
};

/* What a tag proves. After a header without a packet stands what is here in the place of conn. */
struct sealed {
	__u8 version;
	__u8 kind;
	__u8 family;
	__u8 hops;
	__u32 zero;
	struct conn conn;
	__u32 pad;
	__u32 from[4]; /* the source address of the outer packet */
};

/* Addresses of peers are as in struct conn, here and below. */
struct peer {
	__u32 addr[4];
	__u8 mac[6]; /* of the next hop to it */
	__u8 alive;  /* 1, or QUIET */
	__u8 bit;    /* its own, in struct question and struct needed */
};

/* Nothing was heard of a peer for a second, also of its kernel. It is asked, but no packet of TCP goes to
 * it alone. Datagrams of its flows do: to ask again would have the flow begin here. */
#define QUIET 2

/* User space overwrites it in place. A program that reads it meanwhile may get half of the old one: the
 * packet is then lost, or dropped by the peers. */
struct backplane {
	__u64 key[2];
	__u64 also[2]; /* accepted too; the same as key if there is only one */
	__u32 local[4];
	__u32 device; /* interface index */
	__u32 mtu;
	__u32 asked; /* how many entries fleet_asked has; 0: nobody is asked, the kernel answers */
	__u32 v6;    /* of the outer packets */
	__u64 spacing; /* ns from one question to the next, in the long run */
	__u64 burst;   /* as ns, too */
	__u64 source_spacing; /* likewise, of each client */
	__u64 source_burst;
	__u64 patience; /* ns that questions about a conn may be without an answer */
	__u8 mac[6];	/* of the device */
	__u16 pad;
};

/* In the order of fleet_counters. */
enum counter {
	COUNT_ASKED, COUNT_STRAIGHT, COUNT_TAKEN, COUNT_FOREIGN, COUNT_SHED, COUNT_GIVEN_UP,
	COUNT_TOO_LONG, COUNT_UNSENT, COUNT_FORGED, COUNT_UNTOLD, COUNT_LEARNT, COUNT_GONE, COUNT_DENIED, COUNTERS,
};

/* A question about a conn that no peer has said it has. */
struct question {
	__u64 first; /* by bpf_ktime_get_ns */
	__u64 times;
	__u64 denied;	     /* the bits of the peers that have said they do not have the conn */
	__u64 said;	     /* when the last of them said so for the first time */
	__u64 denied_again;  /* the bits of those that have said so again, DENY_AGAIN later */
	__u32 acknowledged;  /* the number in the client's packet */
	__u32 pad;
};

/* Whose word it takes that nobody has a conn: the peers that may have one. Else conns of a peer of which this
 * host has not heard yet would be reset. */
struct needed {
	__u64 bits;  /* 0: no words will do */
	__u64 since; /* by bpf_ktime_get_ns: the bits in questions from before are those of other peers */
	__u64 until; /* likewise: later, user space does not run, and hears of no new peer */
};

/* When messages have come from a peer, by bpf_ktime_get_ns. A question about no conn, to port 0, is answered
 * by the peer's kernel whether or not its user space has a CPU. */
struct heard {
	__u64 at;
	__u64 answered; /* such a question; 0: never */
};

/* When a peer was told last that a conn is here. */
struct answer {
	__u32 peer[4];
	__u64 at; /* by bpf_ktime_get_ns */
};

/* Which peer has a UDP flow. */
struct moved {
	__u32 peer[4];
	__u64 last; /* datagram, by bpf_ktime_get_ns */
	__u64 idle; /* ns after it, at which the peer may have ended the flow: user space asks again */
};

/* What user space is to tell a peer. */
struct event {
	enum message kind; /* MINE or LACK */
	__u32 peer[4];
	struct conn conn;
};
