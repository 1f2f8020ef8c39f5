package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"anyport/cmd/anyport/internal/fleet"
)

// pushLease is how long a push lives on whose process does not: its trial is over after this time.
const pushLease = 15 * time.Second

// lease is a lease that is renewed until Close, or until it is lost.
type lease struct {
	*Store
	id   clientv3.LeaseID
	lost chan struct{}
	stop context.CancelFunc // of the renewal
}

// grant makes a lease and begins to renew it.
func (s *Store) grant(ctx context.Context, life time.Duration) (*lease, error) {
	granting, cancel := call(ctx)
	defer cancel()
	r, err := s.client.Grant(granting, int64(life.Seconds()))
	if err != nil {
		return nil, s.explain(err)
	}
	renewing, stop := context.WithCancel(context.Background())
	l := &lease{Store: s, id: r.ID, lost: make(chan struct{}), stop: stop}
	renewals, err := s.client.KeepAlive(renewing, r.ID)
	if err != nil {
		stop()
		return nil, s.explain(err)
	}
	go func() { // ends when the lease has ended, with Close, or with the client
		defer close(l.lost)
		for range renewals {
		}
	}()
	return l, nil
}

// Lost is closed when the lease is not renewed any more.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Close ends the lease and removes its keys, if the server can be reached.
func (l *lease) Close(ctx context.Context) error {
	l.stop()
	ctx, cancel := call(ctx)
	defer cancel()
	_, err := l.client.Revoke(ctx, l.id)
	return l.explain(err)
}

// pushSession is a fleet.PushSession.
type pushSession struct{ *lease }

// BeginPush puts the key of the push if there is none.
func (s *Store) BeginPush(ctx context.Context, push fleet.Push) (fleet.PushSession, error) {
	value, err := encode(push)
	if err != nil {
		return nil, err
	}
	l, err := s.grant(ctx, pushLease)
	if err != nil {
		return nil, err
	}
	asking, cancel := call(ctx)
	defer cancel()
	key := s.prefix + pushKey
	r, err := s.client.Txn(asking).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, value, clientv3.WithLease(l.id))).
		Else(clientv3.OpGet(key)).Commit()
	if err == nil && r.Succeeded {
		return pushSession{l}, nil
	}
	_ = l.Close(ctx) // else it ends by itself
	if err != nil {
		return nil, s.explain(err)
	}
	other := &fleet.PushRunsError{}
	for _, kv := range r.Responses[0].GetResponseRange().Kvs {
		if err := json.Unmarshal(kv.Value, &other.Push); err != nil {
			return nil, fmt.Errorf("the key %s cannot be read: %w", kv.Key, err)
		}
		other.Push.Lease = kv.Lease
	}
	return nil, other
}

// EndPush revokes the lease of whichever push runs.
func (s *Store) EndPush(ctx context.Context) error {
	state, err := s.State(ctx)
	if err != nil || state.Push == nil {
		return err
	}
	ctx, cancel := call(ctx)
	defer cancel()
	_, err = s.client.Revoke(ctx, clientv3.LeaseID(state.Push.Lease))
	return s.explain(err)
}

// Lease is what a trial names.
func (p pushSession) Lease() int64 { return int64(p.id) }

// Swap compares the revision of the pointer, and that the key of the push is held by this lease.
func (p pushSession) Swap(ctx context.Context, old, next fleet.Pointer) (fleet.Pointer, error) {
	next.Serial = old.Serial + 1
	value, err := encode(next)
	if err != nil {
		return fleet.Pointer{}, err
	}
	ctx, cancel := call(ctx)
	defer cancel()
	r, err := p.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(p.prefix+pointerKey), "=", old.Revision),
			clientv3.Compare(clientv3.LeaseValue(p.prefix+pushKey), "=", p.id)).
		Then(clientv3.OpPut(p.prefix+pointerKey, value)).Commit()
	if err != nil {
		return fleet.Pointer{}, p.explain(err)
	}
	if !r.Succeeded {
		return fleet.Pointer{}, fleet.ErrChanged
	}
	next.Revision = r.Header.Revision
	return next, nil
}
