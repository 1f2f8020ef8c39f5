package tcp

import "testing"

// A line is one event, and what has become of the conn after it.
type line struct{ event, want string }

// The life of a conn from its first dial on, without a socket. What each side hears
// ends with FIN where only that was passed on, and with how its socket was closed.
func TestTransitions(t *testing.T) {
	for name, lines := range map[string][]line{
		"the client speaks first, both close": {
			{"client accepts", "dialling"},
			{"client says hello", "dialling, 5 unread"},
			{"origin accepts", "relaying, origin: hello"},
			{"origin says hi", "relaying, client: hi, origin: hello"},
			{"client closes", "relaying, client: hi, origin: hello FIN"},
			{"origin says bye", "relaying, client: hibye, origin: hello FIN"},
			{"origin closes", "closed, client: hibye closed, origin: hello FIN closed"},
		},
		"the origin speaks first, and closes first": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"origin says 220", "relaying, client: 220"},
			{"origin closes", "relaying, client: 220 FIN"},
			{"client says quit", "relaying, client: 220 FIN, origin: quit"},
			{"client closes", "closed, client: 220 FIN closed, origin: quit closed"},
		},
		"FIN of the client during the dial": {
			{"client accepts", "dialling"},
			{"client says all", "dialling, 3 unread"},
			{"client closes", "dialling, 3 unread"},
			{"origin accepts", "relaying, origin: all FIN"},
		},
		"RST of the client during the dial": {
			{"client accepts", "dialling"},
			{"client resets", "client_reset, client: RST, origin: RST"},
		},
		"the only origin refuses": {
			{"client accepts", "dialling"},
			{"client says hello", "dialling, 5 unread"},
			{"origin refuses", "connect_failed, client: RST, origin: closed"},
		},
		"the only origin does not answer": {
			{"client accepts", "dialling"},
			{"time passes 4s", "dialling"},
			{"time passes 2s", "connect_timeout, client: RST, origin: closed"},
		},
		"the origin accepts, speaks and resets at once": {
			{"client accepts", "dialling"},
			{"origin says sorry", "dialling, 5 unread"},
			{"origin resets", "origin_reset, client: sorry RST, origin: RST"},
		},
		"the origin accepts, speaks, closes and resets at once": {
			{"client accepts", "dialling"},
			{"origin says sorry", "dialling, 5 unread"},
			{"origin breaks", "origin_reset, client: sorry RST, origin: RST"},
		},
		"bytes before RST are delivered": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"client stalls 3", "relaying"},
			{"origin says abcdef", "relaying, client: abc"},
			{"client reads", "relaying, client: abcdef"},
			{"origin whispers ghi", "relaying, client: abcdef, 3 unread"},
			{"origin resets", "origin_reset, client: abcdefghi RST, origin: RST"},
		},
		"RST while the other side stalls": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"client stalls 0", "relaying"},
			{"origin says abc", "relaying"},
			{"origin resets", "origin_reset, client: RST, origin: RST"},
		},
		"a stalled reader stops its sender, and FIN waits for the bytes before it": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"origin stalls 2", "relaying"},
			{"client says abcd", "relaying, origin: ab"},
			{"client says efgh", "relaying, 4 unread, origin: ab"},
			{"client closes", "relaying, 4 unread, origin: ab"},
			{"origin says still here", "relaying, client: still here, 4 unread, origin: ab"},
			{"origin reads", "relaying, client: still here, origin: abcdefgh FIN"},
		},
		"urgent data, read while signals come": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"client urges !", "relaying, origin: !"},
			{"client says after", "relaying, origin: !after"},
		},
		"bulk, stalled in the pipe": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"client stalls 1000000", "relaying"},
			{"origin pours 3000000", "relaying, client: 1000000, 1820352 unread"},
			{"client reads", "relaying, client: 3000000"},
			{"origin closes", "relaying, client: 3000000 FIN"},
			{"client closes", "closed, client: 3000000 FIN closed, origin: closed"},
		},
		"idle": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"time passes 59m", "relaying, client: probes, origin: probes"},
			{"client says ping", "relaying, client: probes, origin: ping probes"},
			{"time passes 59m", "relaying, client: probes, origin: ping probes"},
			{"time passes 2m", "idle_timeout, client: probes RST, origin: ping probes RST"},
		},
		"quiet, with keepalive probes at 2 minutes": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"time passes 50s", "relaying"},
			{"client says ping", "relaying, origin: ping"},
			{"time passes 50s", "relaying, origin: ping"},
			{"time passes 11s", "relaying, client: probes, origin: ping probes"},
			{"client vanishes", "client_timeout, client: probes RST, origin: ping probes RST"},
		},
		"the origin vanishes, and its last words are delivered": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"origin whispers bye", "relaying, 3 unread"},
			{"origin vanishes", "origin_timeout, client: bye RST, origin: RST"},
		},
		"half closed for too long": {
			{"client accepts", "dialling"},
			{"origin accepts", "relaying"},
			{"client closes", "relaying, origin: FIN"},
			{"time passes 50s", "relaying, origin: FIN"},
			{"origin says more", "relaying, client: more, origin: FIN"},
			{"time passes 50s", "relaying, client: more, origin: FIN"},
			{"time passes 11s", "half_close_timeout, client: more RST, origin: FIN RST"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeConn()
			for _, line := range lines {
				f.happen(t, line.event)
				if got := f.String(); got != line.want {
					t.Fatalf("%s: %s\nwant %s", line.event, got, line.want)
				}
			}
			if n := f.loop.pipes.Spare(); n != 1 {
				t.Errorf("%d pipes were given back, want the only one", n)
			}
		})
	}
}
