// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/* Puts the listeners of services into local_sockets at listen(2), so that a service that
 * restarts is reached again at once, also while there is no anyport process.
 *
 * It is attached to the cgroups of services, and runs in the context of the process that
 * listens. A reset of the cgroup detaches it: the cgroup of a systemd unit is a new one
 * after each start. Package steering then attaches it again. TCP only: the kernel calls no
 * such program when a UDP socket is bound.
 */

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "local.h"

#define AF_INET 2

/* A listener that a route leads to. */
struct listener {
	__u64 cgroup;  /* the number that user space has given to it */
	__u32 addr[4]; /* IPv4 as ::ffff:a.b.c.d */
	__u32 port;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, struct listener);
	__type(value, __u64); /* local_key.service */
} listeners SEC(".maps");

/* A cgroup that the program is attached to. */
struct watched {
	__u64 number;
	__u64 netns; /* the cookie of anyport's network namespace; 0: not known */
};

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, struct watched);
} cgroups SEC(".maps");

/* 1 if the kernel gives the cookie of a namespace to such programs, since Linux 5.15. Otherwise
 * the verifier removes the call. */
const volatile __u32 compares_netns = 0;

SEC("sockops")
int note_listener(struct bpf_sock_ops *ctx)
{
	struct listener l = {};
	struct local_key key = { 0, IPPROTO_TCP };
	const struct watched *cgroup;
	const __u64 *service;
	const volatile struct bpf_sock_ops *sk = ctx; /* the verifier wants a constant offset in each load */
	__u32 ip4;

	if (ctx->op != BPF_SOCK_OPS_TCP_LISTEN_CB)
		return 1;
	cgroup = bpf_get_local_storage(&cgroups, 0);
	if (compares_netns && cgroup->netns && bpf_get_netns_cookie(ctx) != cgroup->netns)
		return 1; /* a cgroup holds processes of any namespace, and sk_lookup compares none */
	l.cgroup = cgroup->number;
	l.port = sk->local_port;
	ip4 = sk->local_ip4;
	l.addr[0] = sk->local_ip6[0];
	l.addr[1] = sk->local_ip6[1];
	l.addr[2] = sk->local_ip6[2];
	l.addr[3] = sk->local_ip6[3];
	if (sk->family == AF_INET) {
		l.addr[0] = l.addr[1] = 0;
		l.addr[2] = bpf_htonl(0xffff);
		l.addr[3] = ip4;
	}
	service = bpf_map_lookup_elem(&listeners, &l);
	if (!service)
		return 1;
	key.service = *service;
	bpf_sock_hash_update(ctx, &local_sockets, &key, BPF_ANY);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
