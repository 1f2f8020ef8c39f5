package etcd

import (
	"context"
	"encoding/json"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"anyport/cmd/anyport/internal/fleet"
)

const (
	hostsPrefix     = "hosts/"
	withdrawnPrefix = "withdrawn/"
)

// membership is a fleet.Membership.
type membership struct {
	*lease
	host string
}

// Join grants the lease of a host. A process that takes the place of another one has a lease of its own:
// the keys that it writes do not go with the lease of the one before.
func (s *Store) Join(ctx context.Context, host string) (fleet.Membership, error) {
	l, err := s.grant(ctx, fleet.LeaseTime)
	if err != nil {
		return nil, err
	}
	return membership{l, host}, nil
}

// Hosts reads all reports. What is not one is left out.
func (s *Store) Hosts(ctx context.Context) ([]fleet.Report, error) {
	r, err := s.list(ctx, hostsPrefix)
	if err != nil {
		return nil, err
	}
	return reports(r), nil
}

// reports are in the order of the keys, which is that of the names.
func reports(r *clientv3.GetResponse) (all []fleet.Report) {
	for _, kv := range r.Kvs {
		var report fleet.Report
		if json.Unmarshal(kv.Value, &report) == nil && strings.HasSuffix(string(kv.Key), "/"+report.Host) {
			all = append(all, report)
		}
	}
	return all
}

// Report writes the report under the lease.
func (m membership) Report(ctx context.Context, report fleet.Report) error {
	value, err := encode(report)
	if err != nil {
		return err
	}
	ctx, cancel := call(ctx)
	defer cancel()
	_, err = m.client.Put(ctx, m.prefix+hostsPrefix+m.host, value, clientv3.WithLease(m.id))
	return explain(err)
}

// withdrawTries bounds how often hosts that ask at once make each other ask again.
const withdrawTries = 8

// MayWithdraw writes the key of this host if no other host has written one since the hosts were counted.
func (m membership) MayWithdraw(ctx context.Context, minHosts int) (bool, error) {
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
		if !fleet.OthersSuffice(m.host, reports(hosts), func(host string) bool { return gone[host] }, minHosts) {
			return false, nil
		}
		if done, err := m.withdraw(ctx, withdrawn.Header.Revision); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// withdraw reports whether no other host has withdrawn since a revision.
func (m membership) withdraw(ctx context.Context, since int64) (bool, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	r, err := m.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(m.prefix+withdrawnPrefix).WithPrefix(), "<", since+1)). // of each key there
		Then(clientv3.OpPut(m.prefix+withdrawnPrefix+m.host, "{}", clientv3.WithLease(m.id))).Commit()
	if err != nil {
		return false, explain(err)
	}
	return r.Succeeded, nil
}

// Announces removes the key of MayWithdraw.
func (m membership) Announces(ctx context.Context) error {
	return m.remove(ctx, withdrawnPrefix+m.host)
}
