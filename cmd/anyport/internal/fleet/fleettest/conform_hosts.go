package fleettest

import (
	"errors"
	"slices"

	"anyport/cmd/anyport/internal/fleet"
)

// names are the hosts that report.
func (c conformer) names() (names []string) {
	c.Helper()
	for _, r := range must(c.store.Hosts(c.ctx))(c.T) {
		names = append(names, r.Host)
	}
	return names
}

// hosts: reports come and go with the leases, and the process that takes over a name keeps its report.
func (c conformer) hosts() {
	one, two := must(c.store.Join(c.ctx, "edge1"))(c.T), must(c.store.Join(c.ctx, "edge2"))(c.T)
	for host, m := range map[string]fleet.Membership{"edge1": one, "edge2": two} {
		if err := m.Report(c.ctx, fleet.Report{Host: host, Conns: 7}); err != nil {
			c.Fatal(err)
		}
	}
	if got := c.names(); !slices.Equal(got, []string{"edge1", "edge2"}) {
		c.Errorf("hosts: %v", got)
	}
	successor := must(c.store.Join(c.ctx, "edge1"))(c.T)
	if err := successor.Report(c.ctx, fleet.Report{Host: "edge1", Conns: 8}); err != nil {
		c.Fatal(err)
	}
	for _, m := range []fleet.Membership{one, two} {
		if err := m.Close(c.ctx); err != nil {
			c.Error(err)
		}
		<-m.Lost()
	}
	if got := must(c.store.Hosts(c.ctx))(c.T); len(got) != 1 || got[0].Conns != 8 {
		c.Errorf("after the end of two leases: %+v", got)
	}
	if err := one.Report(c.ctx, fleet.Report{Host: "edge1"}); !errors.Is(err, fleet.ErrLeaseLost) {
		c.Errorf("a report without a lease: %v", err)
	}
	if err := successor.Close(c.ctx); err != nil {
		c.Error(err)
	}
}

// namesakes: of two hosts with one name the first keeps its report, until it goes.
func (c conformer) namesakes() {
	one, two := must(c.store.Join(c.ctx, "edge1"))(c.T), must(c.store.Join(c.ctx, "edge1"))(c.T)
	first, second := fleet.Report{Host: "edge1", Instance: "1", Place: "here"}, fleet.Report{Host: "edge1", Instance: "2", Place: "there"}
	if err := one.Report(c.ctx, first); err != nil {
		c.Fatal(err)
	}
	for _, lives := range []bool{false, false, true} { // not before the first host writes again
		taken := new(fleet.NameTakenError)
		if err := two.Report(c.ctx, second); !errors.As(err, &taken) || taken.Other.Instance != "1" || taken.Lives != lives {
			c.Errorf("a report of a second host: %v, want one that lives: %v", err, lives)
		}
		if list := must(c.store.Namesakes(c.ctx))(c.T); lives != (len(list) == 1) {
			c.Errorf("namesakes: %+v", list)
		}
		if first.Conns++; first.Conns == 2 {
			if err := one.Report(c.ctx, first); err != nil {
				c.Errorf("a report of the first host: %v", err)
			}
		}
	}
	hosts, others := must(c.store.Hosts(c.ctx))(c.T), must(c.store.Namesakes(c.ctx))(c.T)
	if len(hosts) != 1 || hosts[0].Instance != "1" || len(others) != 1 || others[0].Instance != "2" {
		c.Errorf("hosts %+v, namesakes %+v", hosts, others)
	}
	if err := one.Close(c.ctx); err != nil {
		c.Fatal(err)
	}
	if err := two.Report(c.ctx, second); err != nil {
		c.Errorf("a report after the first host has left: %v", err)
	}
	hosts, others = must(c.store.Hosts(c.ctx))(c.T), must(c.store.Namesakes(c.ctx))(c.T)
	if len(hosts) != 1 || hosts[0].Instance != "2" || len(others) > 0 {
		c.Errorf("after the first has left: hosts %+v, namesakes %+v", hosts, others)
	}
	if err := two.Close(c.ctx); err != nil {
		c.Error(err)
	}
}

// withdrawals: when many hosts ask at once, the store refuses enough of them for the least number to go on announcing.
func (c conformer) withdrawals() {
	const hosts, least = 6, 2
	granted := make(chan bool, hosts)
	var members []fleet.Membership
	for n := range hosts {
		host := "edge" + string(rune('0'+n))
		m := must(c.store.Join(c.ctx, host))(c.T)
		members = append(members, m)
		if err := m.Report(c.ctx, fleet.Report{Host: host, Announcing: true}); err != nil {
			c.Fatal(err)
		}
	}
	for _, m := range members {
		go func() { // ends with the answer
			ok, err := m.MayWithdraw(c.ctx, least)
			if err != nil {
				c.Error(err)
			}
			granted <- ok
		}()
	}
	n := 0
	for range hosts {
		if <-granted {
			n++
		}
	}
	if n > hosts-least {
		c.Errorf("%d of %d hosts may withdraw, and at least %d have to stay", n, hosts, least)
	}
	for _, m := range members { // those that had to try too often
		if ok, _ := m.MayWithdraw(c.ctx, hosts); ok {
			c.Error("a host may withdraw without enough others")
		}
		if err := m.Announces(c.ctx); err != nil {
			c.Error(err)
		}
	}
	if ok, err := members[0].MayWithdraw(c.ctx, hosts-1); !ok || err != nil {
		c.Errorf("all others announce again: %v, %v", ok, err)
	}
	for _, m := range members {
		_ = m.Close(c.ctx)
	}
}
