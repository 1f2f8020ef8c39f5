package text

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

// Reloaded writes a line for each thing that comes (+), goes (-) or changes (~), and for each route
// that stays as it is (=) but has conns that the change of another route affects.
func Reloaded(out io.Writer, r *admin.Reloaded) {
	writeKeys(out, r.Keys)
	for _, c := range r.Routes {
		writeChange(out, c)
	}
	if len(r.Keys)+len(r.Routes) == 0 && r.Trial != admin.TrialBack {
		fmt.Fprintln(out, "nothing differs")
	}
	if r.DryRun {
		fmt.Fprintf(out, "a dry run: nothing was changed, generation %d serves on\n", r.Generation)
		return
	}
	switch r.Trial {
	case admin.TrialBegun:
		fmt.Fprintf(out, "%s serves %v%% of the clients: generation %d\n  for all clients: anyport reload --all; for none: anyport reload --back\n", r.Path, r.SharePercent, r.Generation)
	case admin.TrialBack:
		fmt.Fprintf(out, "the trial has ended: generation %d serves all clients\n", r.Generation)
	default:
		fmt.Fprintf(out, "%s is in service: generation %d\n", r.Path, r.Generation)
	}
}

// Differences writes what a table changes, before any host has it: live conns are not known.
func Differences(out io.Writer, d config.Diff) {
	if d.Empty() {
		fmt.Fprintln(out, "no route differs")
	}
	writeKeys(out, d.Keys)
	for _, c := range d.Routes {
		writeChange(out, admin.RouteChange{RouteDiff: c})
	}
}

// writeKeys writes the keys outside the routes.
func writeKeys(out io.Writer, keys []config.KeyDiff) {
	for _, k := range keys {
		fmt.Fprintf(out, "~ %s: %s → %s\n", k.Key, k.Old, k.New)
	}
}

// writeChange writes a route with its sign, then its prefixes and keys, indented.
func writeChange(out io.Writer, c admin.RouteChange) {
	signs := map[config.Change]string{config.Added: "+", config.Removed: "-", config.Changed: "~"}
	fmt.Fprintf(out, "%s route %q%s\n", cmp.Or(signs[c.Change], "="), c.Name, connsText(c))
	writePrefixes(out, "+", c.PrefixesAdded)
	writePrefixes(out, "-", c.PrefixesRemoved)
	for _, k := range c.Keys {
		fmt.Fprintf(out, "    ~ %s: %s → %s\n", k.Key, k.Old, k.New)
	}
}

// connsText says what happens to the live conns.
func connsText(c admin.RouteChange) string {
	conns, end := Count(int(c.ConnsActive), "live conn", "live conns"), time.Duration(c.DrainSeconds*float64(time.Second))
	switch c.ConnsEnding {
	case c.ConnsActive:
		if c.ConnsActive == 0 {
			return ""
		}
		return fmt.Sprintf(", %s: to be reset after %v", conns, end)
	case 0:
		return fmt.Sprintf(", %s: as they began", conns)
	}
	return fmt.Sprintf(", %s: as they began, but %d to be reset after %v", conns, c.ConnsEnding, end)
}

// writePrefixes keeps a long list readable; --json has all of it.
func writePrefixes(out io.Writer, sign string, prefixes []string) {
	const most = 20
	for i, p := range prefixes {
		if i == most {
			fmt.Fprintf(out, "    %s %d more\n", sign, len(prefixes)-most)
			return
		}
		fmt.Fprintf(out, "    %s %s\n", sign, p)
	}
}

// Drained writes a line for each route.
func Drained(out io.Writer, d *admin.Drained) {
	state := map[bool]string{true: "takes no new conns", false: "takes new conns"}[d.Draining]
	for _, name := range slices.Sorted(maps.Keys(d.Conns)) {
		n := Count(int(d.Conns[name]), "live conn", "live conns")
		fmt.Fprintf(out, "%s: %s, %s\n", name, state, n)
	}
}

// Killed says how many conns and flows were ended.
func Killed(out io.Writer, k *admin.Killed) {
	fmt.Fprintf(out, "%s ended\n", Count(k.Ended, "conn or flow", "conns and flows"))
}

// Left says of a process what the one that answers cannot list or end.
func Left(l admin.Left) string {
	return fmt.Sprintf("process %d, which an upgrade has replaced, still has %s: anyport flows does not list them, and anyport kill does not end them",
		l.PID, Count(int(l.ConnsActive), "conn or flow", "conns and flows"))
}

// Confirmed says that nothing is given back.
func Confirmed(out io.Writer, c *admin.Confirmed) {
	fmt.Fprintf(out, "confirmed with %v left: %s stays in service\n", time.Duration(c.SecondsLeft*float64(time.Second)).Round(time.Second), c.Path)
}

// Upgraded says what moved to the new process, and what did not.
func Upgraded(out io.Writer, u *admin.Upgraded) {
	switch u.Trial {
	case admin.TrialBegun:
		fmt.Fprintf(out, "%s takes the new TCP conns of %v%% of the clients as pid %d\n", u.Binary, u.SharePercent, u.PID)
		fmt.Fprintln(out, "  for all clients: anyport upgrade --all; for none: anyport upgrade --back")
		return
	case admin.TrialBack:
		fmt.Fprintf(out, "pid %d serves all clients: %s moved back\n", u.PID, Count(u.Conns, "conn", "conns"))
		if u.Left > 0 {
			fmt.Fprintf(out, "%s did not, and end with the process that was on trial, or when drain_timeout cuts them\n", Count(u.Left, "conn", "conns"))
		}
		return
	}
	fmt.Fprintf(out, "%s serves as pid %d: %s and %s moved\n", u.Binary, u.PID, Count(u.Conns, "conn", "conns"), Count(u.Flows, "flow", "flows"))
	if u.Left > 0 {
		fmt.Fprintf(out, "%s did not, and end with the old process, or when drain_timeout cuts them\n", Count(u.Left, "conn", "conns"))
	}
}
