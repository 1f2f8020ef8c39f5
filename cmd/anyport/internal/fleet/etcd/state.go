package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"anyport/cmd/anyport/internal/fleet"
)

// The keys of the state. One prefix is for both, so that one watch sees both.
const (
	pointerKey = "current"
	pushKey    = "current.push"
)

// lookInterval is how often the state is read without a message of the watch. It shows that the server
// is there, and bounds how long a message that was lost matters.
const lookInterval = 5 * time.Second

// State reads both keys in one transaction.
func (s *Store) State(ctx context.Context) (fleet.State, error) {
	state, _, err := s.state(ctx)
	return state, err
}

// state also returns the revision of the store at that moment.
func (s *Store) state(ctx context.Context) (state fleet.State, revision int64, err error) {
	ctx, cancel := call(ctx)
	defer cancel()
	r, err := s.client.Txn(ctx).Then(clientv3.OpGet(s.prefix+pointerKey), clientv3.OpGet(s.prefix+pushKey)).Commit()
	if err != nil {
		return state, 0, s.explain(err)
	}
	for _, kv := range r.Responses[0].GetResponseRange().Kvs {
		if err := json.Unmarshal(kv.Value, &state.Pointer); err != nil {
			return state, 0, fmt.Errorf("the key %s cannot be read: %w", kv.Key, err)
		}
		state.Pointer.Revision = kv.ModRevision
	}
	for _, kv := range r.Responses[1].GetResponseRange().Kvs {
		state.Push = new(fleet.Push)
		if err := json.Unmarshal(kv.Value, state.Push); err != nil {
			return state, 0, fmt.Errorf("the key %s cannot be read: %w", kv.Key, err)
		}
		state.Push.Lease = kv.Lease
	}
	return state, r.Header.Revision, checkPointer(state.Pointer)
}

// checkPointer refuses hashes that are none: they become parts of keys.
func checkPointer(p fleet.Pointer) error {
	hashes := []fleet.Hash{p.Table, p.Previous}
	if p.Trial != nil {
		hashes = append(hashes, p.Trial.Table)
	}
	for _, h := range hashes {
		if h != "" && !h.Valid() {
			return fmt.Errorf("the pointer names %q, which is not the hash of a table", h)
		}
	}
	return nil
}

// Watch reads the state again at each change, and each lookInterval. It never works out the state from
// the messages of the watch, so it does not matter if some are missing, as after a compaction.
func (s *Store) Watch(ctx context.Context, see func(fleet.State)) error {
	for {
		err := s.watchOnce(ctx, see)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			return s.explain(err)
		}
	}
}

// watchOnce ends with the watch.
func (s *Store) watchOnce(ctx context.Context, see func(fleet.State)) error {
	state, revision, err := s.state(ctx)
	if err != nil {
		return err
	}
	see(state)
	watching, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx)) // else a member that is cut off stays silent
	defer cancel()
	changes := s.client.Watch(watching, s.prefix+pointerKey, clientv3.WithPrefix(), clientv3.WithRev(revision+1))
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		case change, ok := <-changes:
			if !ok {
				return errors.New("the watch has ended")
			}
			if err := change.Err(); err != nil {
				return err
			}
		}
		if state, _, err = s.state(ctx); err != nil {
			return err
		}
		see(state)
	}
}
