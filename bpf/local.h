/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The sockets of services of this host, which routes with action = "socket" lead to. Here
 * they are read; services.bpf.c and user space put them in. The kernel takes a socket out
 * when it is closed. */

struct local_key {
	__u64 service; /* user space's hash of the service and its listener */
	__u64 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1 << 12);
	__type(key, struct local_key);
	__type(value, __u64);
} local_sockets SEC(".maps");
