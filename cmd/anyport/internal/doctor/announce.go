package doctor

import (
	"context"
	"fmt"
	"strings"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering/announce"
	"anyport/steering/host"
)

// Announcing is what the host does with the table of [announce].
type Announcing struct {
	RoutedBy []string // rules and VRFs by which this host routes by the table
	TUNErr   error    // why there cannot be a device for the routes
}

// readAnnounce looks at the host if the file has announce.table.
func readAnnounce(_ context.Context, f *Facts) (err error) {
	if f.config().Announce.Table == 0 {
		return nil
	}
	f.Announcing.TUNErr = host.TryTUN()
	f.Announcing.RoutedBy, err = announce.RoutedBy(f.config().Announce.Table)
	return err
}

// checkAnnounce finds what keeps prefixes from being announced, and whether this host routes by what is
// meant for a routing daemon. Whether there is one is not its concern: it may come later.
func checkAnnounce(f *Facts) []Finding {
	table := f.config().Announce.Table
	if table == 0 {
		return ok("announce.table is 0: no route is announced")
	}
	if err := f.Announcing.TUNErr; err != nil {
		return fail("modprobe tun   # in a systemd unit: PrivateDevices=no and DeviceAllow=/dev/net/tun rw",
			"the announced routes are on a device that ends with anyport", "no network device can be made: %v", err)
	}
	if by := f.Announcing.RoutedBy; len(by) > 0 {
		return warn(fmt.Sprintf("ip rule show table %d; ip -6 rule show table %d   # remove them, or give announce.table another number", table, table),
			"packets for a served prefix that come to this table go to a device that drops them", "this host routes by table %d: %s", table, strings.Join(by, "; "))
	}
	if f.Running != nil && f.Running.Announce != nil {
		return checkAnnounced(f.Running.Announce)
	}
	return ok("table %d is for the announced routes: nothing routes by it", table)
}

// checkAnnounced judges what a running anyport announces.
func checkAnnounced(a *admin.AnnounceStatus) []Finding {
	const why = "routers do not send clients of these prefixes here, or send them though they are not served"
	for _, problem := range []string{a.Error, a.Kept, a.Problem} {
		if problem != "" {
			return warn("anyport status", why, "the routes in table %d are not as they should be: %s", a.Table, problem)
		}
	}
	stands := 0
	for verdict, n := range a.Prefixes {
		if announce.Verdict(verdict).Stands() {
			stands += n
		}
	}
	return ok("%d prefixes are announced in table %d", stands, a.Table)
}
