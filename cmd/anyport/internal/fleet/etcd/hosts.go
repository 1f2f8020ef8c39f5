package etcd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"anyport/cmd/anyport/internal/fleet"
)

const (
	hostsPrefix     = "hosts/"
	withdrawnPrefix = "withdrawn/"
	namesakesPrefix = "namesakes/"
)

// membership is a fleet.Membership.
type membership struct {
	*lease
	host string

	// Report has these alone.
	beside string // the key of a report that is a namesake's; "": there is none
	other  int64  // the revision of the report of another host when it was first seen; 0: there is none
}

// Join grants the lease of a host. A process that takes the place of another one has a lease of its own:
// the keys that it writes do not go with the lease of the one before.
func (s *Store) Join(ctx context.Context, host string) (fleet.Membership, error) {
	l, err := s.grant(ctx, fleet.LeaseTime)
	if err != nil {
		return nil, err
	}
	return &membership{lease: l, host: host}, nil
}

// Namesakes reads the reports of hosts whose name is taken.
func (s *Store) Namesakes(ctx context.Context) ([]fleet.Report, error) {
	r, err := s.list(ctx, namesakesPrefix)
	if err != nil {
		return nil, err
	}
	return s.reports(r, namesakesPrefix), nil
}

// Hosts reads all reports. What is not one is left out.
func (s *Store) Hosts(ctx context.Context) ([]fleet.Report, error) {
	r, err := s.list(ctx, hostsPrefix)
	if err != nil {
		return nil, err
	}
	return s.reports(r, hostsPrefix), nil
}

// reports are in the order of the keys, which is that of the names.
func (s *Store) reports(r *clientv3.GetResponse, prefix string) (all []fleet.Report) {
	for _, kv := range r.Kvs {
		var report fleet.Report
		name, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), s.prefix+prefix), "/")
		if json.Unmarshal(kv.Value, &report) == nil && name == report.Host {
			all = append(all, report)
		}
	}
	return all
}

// reportTries bounds how often two hosts of one name make each other look again.
const reportTries = 4

// Report writes the report under the lease, unless the key is another host's. In the usual case it is one transaction.
func (m *membership) Report(ctx context.Context, report fleet.Report) error {
	value, err := encode(report)
	if err != nil {
		return err
	}
	ctx, cancel := call(ctx)
	defer cancel()
	key := m.prefix + hostsPrefix + m.host
	put := clientv3.OpPut(key, value, clientv3.WithLease(m.id))
	is := clientv3.Compare(clientv3.LeaseValue(key), "=", m.id)
	for range reportTries {
		r, err := m.client.Txn(ctx).If(is).Then(put).Else(clientv3.OpGet(key)).Commit()
		switch {
		case err != nil:
			return m.explain(err)
		case r.Succeeded:
			return m.leaveNamesakes(ctx)
		}
		is = clientv3.Compare(clientv3.ModRevision(key), "=", 0)
		for _, kv := range r.Responses[0].GetResponseRange().Kvs {
			var other fleet.Report
			if json.Unmarshal(kv.Value, &other) == nil && !report.Replaces(other) {
				m.other = cmp.Or(m.other, kv.ModRevision)
				return m.reportBeside(ctx, value, report.Instance, &fleet.NameTakenError{Other: other, Lives: m.other != kv.ModRevision})
			}
			is = clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)
		}
	}
	return fmt.Errorf("etcd: the key %s is written by others all the time", key)
}

// reportBeside writes the report of a host whose name is taken where anyport fleet finds it. It returns taken.
func (m *membership) reportBeside(ctx context.Context, value, instance string, taken *fleet.NameTakenError) error {
	if !taken.Lives {
		return taken
	}
	m.beside = m.prefix + namesakesPrefix + m.host + "/" + instance
	if _, err := m.client.Put(ctx, m.beside, value, clientv3.WithLease(m.id)); err != nil {
		return m.explain(err)
	}
	return taken
}

// leaveNamesakes removes that report once the name is free.
func (m *membership) leaveNamesakes(ctx context.Context) error {
	m.other = 0
	if m.beside == "" {
		return nil
	}
	_, err := m.client.Delete(ctx, m.beside)
	if err == nil {
		m.beside = ""
	}
	return m.explain(err)
}

// withdrawTries bounds how often hosts that ask at once make each other ask again.
const withdrawTries = 8

// MayWithdraw writes the key of this host if no other host has written one since the hosts were counted.
func (m *membership) MayWithdraw(ctx context.Context, minHosts int) (bool, error) {
	for range withdrawTries {
		hosts, err := m.list(ctx, hostsPrefix)
		if err != nil {
			return false, err
		}
		withdrawn, err := m.list(ctx, withdrawnPrefix, clientv3.WithKeysOnly())
		if err != nil {
			return false, err
		}
		gone := map[string]bool{}
		for _, kv := range withdrawn.Kvs {
			gone[strings.TrimPrefix(string(kv.Key), m.prefix+withdrawnPrefix)] = true
		}
		if !fleet.OthersSuffice(m.host, m.reports(hosts, hostsPrefix), func(host string) bool { return gone[host] }, minHosts) {
			return false, nil
		}
		if done, err := m.withdraw(ctx, withdrawn.Header.Revision); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// withdraw reports whether no other host has withdrawn since a revision.
func (m *membership) withdraw(ctx context.Context, since int64) (bool, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	r, err := m.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(m.prefix+withdrawnPrefix).WithPrefix(), "<", since+1)). // of each key there
		Then(clientv3.OpPut(m.prefix+withdrawnPrefix+m.host, "{}", clientv3.WithLease(m.id))).Commit()
	if err != nil {
		return false, m.explain(err)
	}
	return r.Succeeded, nil
}

// Announces removes the key of MayWithdraw.
func (m *membership) Announces(ctx context.Context) error {
	return m.remove(ctx, withdrawnPrefix+m.host)
}
