/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Schedules. Calendars and time zones are user space's: it writes until when a binding holds, and
 * writes again when that is over. So a window closes when it should even if nobody is there to close
 * it, and opens only if user space says so. The clock is the one that runs on while the host is
 * suspended (helper since Linux 5.8). A word of eight bytes is written and read in one piece.
 *
 * Datagrams of a live flow come here too, and look like the first one of a new flow. Where live flows
 * are kept, user space refuses the new ones. */
static __always_inline int is_over(const struct binding *b, const struct packet *p)
{
	if (p->protocol == IPPROTO_UDP && (b->extras & KEEPS_FLOWS))
		return 0;
	return bpf_ktime_get_boot_ns() >= b->valid_until;
}
