package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"anyport/cmd/anyport/internal/fleet"
)

// explain adds to an error of the client what to do about it.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("etcd: %w: its quota is used up: compact and defragment it, and disarm the alarm (etcdctl alarm disarm)", err)
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return fleet.ErrLeaseLost
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("etcd: %w: see source_credentials in [fleet], and the roles of that user", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("etcd: no answer within %v: is it there? %w", callTimeout, err)
	}
	return fmt.Errorf("etcd: %w", err)
}
