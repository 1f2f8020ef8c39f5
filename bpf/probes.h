/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The programs of fleet.bpf.c ask the kernel whether a packet has a socket here. If no conn has it, the
 * kernel looks for a listener, and so runs the steering program. That is not to count such a packet, nor to
 * take a token for it: garbage that one host asks all others about would use up what new conns need there.
 *
 * Not 0 while the program of this CPU asks. It runs in a softirq, as the packets do that the steering
 * program judges; where these can be interrupted (PREEMPT_RT) a packet may be taken for a question, and then
 * is not counted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} probes SEC(".maps");
