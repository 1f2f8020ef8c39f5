package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"anyport/config"
	"anyport/steering/table"
)

// checkNoTrial refuses what cannot be done while two tables or processes serve.
func (d *daemon) checkNoTrial() error {
	if err := d.checkOneProcess(); err != nil {
		return err
	}
	if t := d.trial.Load(); t != nil {
		return fmt.Errorf("%s is on trial, for %v%% of the clients since %s: first put it into service for all with: anyport reload --all, or end it with: anyport reload --back",
			t.config.Path, t.percent, t.since.Format(time.TimeOnly))
	}
	return nil
}

// checkNoOtherTrial refuses a trial beside another one. The one that is on may change its share.
func (d *daemon) checkNoOtherTrial() error {
	if d.trial.Load() != nil {
		return nil
	}
	return d.checkNoTrial()
}

// checkSameFile says what is different in a file from that on trial.
func checkSameFile(onTrial, file *generation) error {
	diff := config.Compare(onTrial.config, file.config)
	if diff.Empty() {
		return nil
	}
	var what []string
	for _, k := range diff.Keys {
		what = append(what, k.Key)
	}
	for _, r := range diff.Routes {
		what = append(what, fmt.Sprintf("route %q", r.Name))
	}
	return fmt.Errorf("%s is not the file on trial any more, different in %s: to change the share, put that back; or first end the trial with: anyport reload --all, or --back",
		file.config.Path, strings.Join(what, ", "))
}

// notShared are keys of a route that cannot differ while two tables serve: what the process keeps under the name of
// the route, or reads from a datagram before it knows the side.
var notShared = []string{"active", "inactive", "on_inactive", "knock", "knock_window", "accept_proxy"}

// checkShareable says why two generations cannot serve at the same time.
func checkShareable(old, next *generation) error {
	var problems config.Problems
	refuse := func(route, key, text string) {
		problems = append(problems, config.Problem{File: next.config.Path, Route: route, Key: key, Text: text + ": reload without --share"})
	}
	diff := config.Compare(old.config, next.config)
	for _, k := range diff.Keys {
		if strings.HasPrefix(k.Key, "knock.") {
			refuse("", k.Key, "it cannot differ between two tables that serve at the same time")
		}
	}
	for _, r := range diff.Routes {
		for _, k := range r.Keys {
			if slices.Contains(notShared, k.Key) {
				refuse(r.Name, k.Key, "it cannot differ between two tables that serve at the same time")
			}
		}
	}
	for _, r := range next.config.Routes {
		if r.Knock.Needed() && !old.routeNames()[r.Name] {
			refuse(r.Name, "knock", "a route with knocks cannot come with a table that serves beside another one")
		}
	}
	if dst, split := table.SplitUDP(old.table, next.table); split {
		refuse("", "", fmt.Sprintf("datagrams to %s are forwarded by one of the two tables, and go to a socket of this host by the other", dst))
	}
	if len(problems) > 0 {
		return next.config.Locate(problems)
	}
	return nil
}
