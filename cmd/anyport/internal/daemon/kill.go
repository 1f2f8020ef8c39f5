package daemon

import (
	"context"
	"errors"
	"fmt"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/route"
)

// Kill ends conns on the goroutine of the request: a million of them take seconds, in which the goroutine that
// decides has signals to act on. So an upgrade may begin meanwhile, and take conns away before they are looked
// at. The answer then says so.
func (s service) Kill(ctx context.Context, filter admin.FlowFilter, match func(*route.Conn) bool) (ended int, err error) {
	if err := s.d.checkRoute(filter.Route); err != nil {
		return 0, err
	}
	if err := s.d.decide(ctx, func() error { return errors.Join(s.d.checkServes(), s.d.checkOneProcess()) }); err != nil {
		return 0, err
	}
	ended = s.d.proxy.Kill(match)
	s.d.log.Info("conns killed by an operator", "which", filter.String(), "ended", ended)
	// It waits for the end of an upgrade that has begun meanwhile. A process that stops may end with its last conn.
	if err := s.d.decide(ctx, s.d.checkServes); err != nil && !errors.Is(err, errStopping) {
		return ended, fmt.Errorf("%d ended, but others may live on: %w", ended, err)
	}
	return ended, nil
}
