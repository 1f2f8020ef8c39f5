package shadow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/api"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/config"
	"anyport/proxy/route"
)

// service is what a rehearsal answers on the admin socket: its status. It has no conns, and nothing to
// drain, to upgrade or to compare.
type service struct{ *shadow }

var _ api.Service = service{}

// errShadow is the answer to every order.
var errShadow = errors.New("this anyport runs with --shadow: it steers nothing, and only answers status; send SIGHUP to read the file again")

// Status is what was counted.
func (s service) Status() admin.Status { return *s.shadow.status() }

// About has no steering: a shadow steers nothing.
func (s service) About() admin.About {
	status := s.shadow.status()
	return admin.About{Version: status.Version, PID: status.PID, Path: status.Config.Path}
}

func (s *shadow) status() *admin.Status {
	held, _ := privileges.Read() // zero if that fails
	s.mu.Lock()
	defer s.mu.Unlock()
	counted := &admin.ShadowStatus{Since: s.since, NotExamined: s.lost + s.follower.omitted, Waiting: len(s.follower.attempts), Routes: s.counts.report()}
	for _, r := range counted.Routes {
		counted.Seen += r.Seen
	}
	return &admin.Status{
		Version: s.opt.Version, PID: os.Getpid(), UptimeSeconds: int64(time.Since(s.begun).Seconds()),
		Privileges: admin.Privileges(held), Log: admin.LogStatus{Lost: s.lines.Lost()},
		Config:   admin.ConfigStatus{Path: s.config.Path, Generation: s.number, LoadedAt: s.since, Refused: s.refused},
		Steering: admin.SteeringStatus{ForeignPrograms: []uint32{}, Missing: []string{}, Unmatched: map[string]uint64{}, Prefixes: s.table.Prefixes()},
		Routes:   []admin.RouteStatus{}, Shadow: counted,
	}
}

// Admin is never called: a rehearsal does not serve admin.http.
func (s service) Admin() config.Admin { return config.Admin{} }

// Live has nothing that could fail.
func (s service) Live() admin.Health { return admin.NewHealth() }

// Ready never is: no conn should come here.
func (s service) Ready() admin.Health {
	return admin.NewHealth(admin.Condition{Name: "steering", Failed: errShadow.Error()})
}

// Drift is refused, as is everything below.
func (s service) Drift() (admin.Drift, error) { return admin.Drift{}, errShadow }

// Sysdump is refused: the status says all.
func (s service) Sysdump() (admin.Sysdump, error) { return admin.Sysdump{}, errShadow }

// Explain points to the command that answers from the file alone.
func (s service) Explain(admin.Question) (admin.Explained, error) {
	return admin.Explained{}, fmt.Errorf("%w: ask with explain -c %s", errShadow, s.opt.Config.Path)
}

// PortMap points to the command that answers from the file alone.
func (s service) PortMap(config.Protocol, netip.Addr) (admin.PortMap, error) {
	return admin.PortMap{}, fmt.Errorf("%w: ask with explain -c %s", errShadow, s.opt.Config.Path)
}

// Scans is refused: nothing is steered.
func (s service) Scans(int) (admin.Scans, error) { return admin.Scans{}, errShadow }

// Conns is refused: there are none.
func (s service) Conns(string) (iter.Seq[route.Conn], error) {
	return func(func(route.Conn) bool) {}, errShadow
}

// Left is empty: a rehearsal is never upgraded.
func (s service) Left() []admin.Left { return nil }

// Trace is refused.
func (s service) Trace(admin.TraceFilter) (api.Tracer, error) { return nil, errShadow }

// Kill is refused.
func (s service) Kill(context.Context, admin.FlowFilter, func(*route.Conn) bool) (int, error) {
	return 0, errShadow
}

// Drain is refused.
func (s service) Drain(context.Context, admin.DrainOrder) (admin.Drained, error) {
	return admin.Drained{}, errShadow
}

// Origin is refused.
func (s service) Origin(context.Context, admin.OriginOrder) (admin.OriginStatus, error) {
	return admin.OriginStatus{}, errShadow
}

// Reload is refused.
func (s service) Reload(context.Context, bool, map[string]int) (admin.Reloaded, error) {
	return admin.Reloaded{}, errShadow
}

// Share is refused.
func (s service) Share(context.Context, float64) (admin.Reloaded, error) {
	return admin.Reloaded{}, errShadow
}

// EndShare is refused.
func (s service) EndShare(context.Context, bool) (admin.Reloaded, error) {
	return admin.Reloaded{}, errShadow
}

// Upgrade is refused.
func (s service) Upgrade(context.Context, api.UpgradeOrder) (admin.Upgraded, error) {
	return admin.Upgraded{}, errShadow
}

// Confirm is refused.
func (s service) Confirm(context.Context) (admin.Confirmed, error) {
	return admin.Confirmed{}, errShadow
}
