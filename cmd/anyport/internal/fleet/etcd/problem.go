package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"anyport/cmd/anyport/internal/fleet"
)

// explain names the servers that gave an error of the client, and what to do about it.
func (s *Store) explain(err error) error { return explain(s.client.Endpoints(), err) }

func explain(endpoints []string, err error) error {
	where := "etcd " + strings.Join(endpoints, ",")
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrNoSpace):
		return &fullError{fmt.Errorf("%s: %w: its quota is used up: compact and defragment it, and disarm the alarm (etcdctl alarm disarm)", where, err)}
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return fleet.ErrLeaseLost
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("%s: %w: see source_credentials in [fleet], and the roles of that user", where, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer within %v: see whether it runs, its log, and the room on its disk: %w", where, callTimeout, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// fullError is an error of a store that takes nothing more.
type fullError struct{ error }

// Is lets a caller find out that the store is full.
func (e *fullError) Is(target error) bool { return target == fleet.ErrFull }

// Unwrap returns the error of the client.
func (e *fullError) Unwrap() error { return e.error }
