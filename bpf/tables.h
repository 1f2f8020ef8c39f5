/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* What user space fills. */

/* Verdicts, in the order of their counters. Zeroed memory refuses. */
enum verdict { REFUSE, DROP, PASS, STEER, DENY, LIMIT, INACTIVE, SOCKET, VERDICTS };

/* Why a verdict, for whoever traces. */
enum reason { BY_ROUTE, BY_CLIENT, NO_DOOR, BY_HOURS, BY_DRAIN, ORIGIN_CLOSED, NO_SOCKET, CONN_RATE, DATAGRAM_RATE, KNOCK_RATE, REASONS };

/* What a packet was to the sequences of knock.h. */
enum knocked { NOT_KNOCKED, STEPPED, OPENED };

#define MOST_WORKERS 1024

/* Slots of the sockets map. A hole is a socket that swallows all it is given. From UDP
 * on there is one for each worker. TCP_SHARE is a listener of the process on trial: see
 * trial.h. */
enum slot { TCP, TCP_HOLE, UDP_HOLE, UDP, SLOTS, TCP_SHARE = UDP + MOST_WORKERS };

/* The key of a trie, as those of prefixes.h. */
struct source {
	__u32 prefixlen;
	__u32 list;
	__u32 addr[4]; /* IPv4 as ::ffff:a.b.c.d */
};

struct interval {
	__u16 lo;
	__u16 pad;
	__u32 binding;
};

/* What most routes do without. They have no bit set, and their lookups pay for one test. */
enum extra {
	MIRRORS = 1,	 /* look into `closed` */
	KEEPS_FLOWS = 2, /* of UDP user space sees to the end that is valid_until */
	NEEDS_DOOR = 4,	 /* only clients with an open door: see door.h */
	TAKES_KNOCK = 8, /* not a route: here user space takes authenticated datagrams */
};

struct binding {
	enum verdict verdict; /* for clients that the source list allows */
	enum verdict denied;  /* what the others get */
	__u32 sources;	      /* a list's number; 0 allows everyone */
	__u32 number;	      /* of the route: the same from one generation to the next */
	__u64 new_conns;      /* ns from one to the next, here and below; 0: no limit */
	__u64 datagrams;      /* to each dst address */
	__u64 flow_idle;      /* ns without a datagram that end a flow */
	__u64 valid_until;    /* by bpf_ktime_get_boot_ns; 0: there is no end */
	enum extra extras;    /* any of them together */
	enum verdict inactive; /* what a client gets from valid_until on; see hours.h */
	__u64 service;	      /* with SOCKET: see local_key */
	__u64 door;	      /* struct door's route, whether it needs a door or not */
	enum verdict away;    /* with SOCKET: while the service has no such socket */
	__u8 route[64];	      /* for the next process, which finds its numbers by the name */
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 24);
	__type(key, struct source);
	__type(value, __u32); /* 1 allows, 0 denies */
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32);
	__type(value, struct interval);
} intervals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32);
	__type(value, struct binding);
} bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32); /* VERDICTS for each binding.number */
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, TCP_SHARE + 1);
	__type(key, enum slot);
	__type(value, __u64);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} workers SEC(".maps");

/* By binding.number: not 0 where the route takes no new conns. Of UDP user space sees
 * to it, for here a datagram of a new flow looks like one of an old flow. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* user space */
	__type(key, __u32);
	__type(value, __u32);
} drains SEC(".maps");

struct service {
	__u32 addr[4]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 port;
	__u16 protocol;
};

/* Services that no origin has, and until when (by bpf_ktime_get_ns) that is taken for
 * granted. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct service);
	__type(value, __u64);
} closed SEC(".maps");

/* Added to the protocol by user space that runs the program without a packet: it is to
 * say what it would do, and do nothing. No packet has such a protocol. */
enum question {
	ASKED = 0x100,
	ASKED_FOR_ALL = 0x300, /* for a client that is not denied */
};

struct answer {
	enum question question;
	enum verdict verdict;
	enum verdict fate;
	__u8 route[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer);
} answers SEC(".maps");
