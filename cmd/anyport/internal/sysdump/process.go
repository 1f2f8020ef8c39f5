package sysdump

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
	"anyport/config/secrets"
)

// ratesOver is the interval that rates are counted over.
const ratesOver = time.Second

// ask asks the running process, if there is one: its file is the one to look at, unless somebody has named
// another.
func (g *gatherer) ask(ctx context.Context) {
	err := errors.New("the file has no admin.socket")
	if g.Socket != "" {
		g.before, err = g.client.Status(ctx)
	}
	if err != nil {
		g.archive.process = fmt.Sprintf("without a running process: %v", err)
		return
	}
	g.archive.process = fmt.Sprintf("with the running process %d", g.before.PID)
	if !g.Named && g.lacksFile() && filepath.IsAbs(g.before.Config.Path) {
		g.Path = g.before.Config.Path
	}
	select {
	case <-ctx.Done():
	case <-time.After(ratesOver):
	}
	if g.process, err = g.client.Sysdump(ctx); err != nil { // another user, a rehearsal, or another version
		g.process = &admin.Sysdump{Status: *g.before}
		defer func() { g.archive.process += ", which did not give its log: " + err.Error() }()
	}
}

// addProcess adds what the process says of itself.
func (g *gatherer) addProcess(context.Context) {
	if g.process == nil {
		return
	}
	status, err := secrets.Masked(g.mask, &g.process.Status) // lines are wrapped below
	if err != nil {
		g.missing("the status", err)
		return
	}
	now := text.Sample{At: time.Now(), Status: status}
	before := text.Sample{At: now.At.Add(-ratesOver), Status: g.before}
	g.addJSON("status.json", "what anyport status --json prints", status)
	g.addText("status.txt", "what anyport status prints", func(out *bytes.Buffer) error { return text.Status(out, status) })
	g.addText("routes.txt", "what anyport routes --wide prints", func(out *bytes.Buffer) error {
		return text.RouteGrid(text.RateRoutes(before, now), true, now.At).Write(out, 0)
	})
	g.addText("origins.txt", "what anyport origins --wide prints", func(out *bytes.Buffer) error {
		return text.OriginGrid(text.RateOrigins(before, now), true, now.At).Write(out, 0)
	})
	about := fmt.Sprintf("the newest lines of the log; %d came before them, and at most %d are kept", g.process.LogOmitted, g.process.LogMostKept)
	if g.process.Table != "" {
		g.add("table.toml", "the table in service, which the source of [fleet] gave, with *** in place of secrets", []byte(secrets.Hide(g.process.Table, g.mask)))
	}
	if g.process.LogMostKept > 0 {
		g.add("log.txt", about, []byte(strings.Join(append(g.process.Log, ""), "\n")))
	}
	g.addProc("process-limits.txt", "limits of the process", fmt.Sprintf("/proc/%d/limits", status.PID))
	g.addProc("process-status.txt", "memory, threads and capabilities of the process", fmt.Sprintf("/proc/%d/status", status.PID))
}

// addText adds what a function prints.
func (g *gatherer) addText(name, about string, write func(*bytes.Buffer) error) {
	var out bytes.Buffer
	if err := write(&out); err != nil {
		g.missing(name, err)
		return
	}
	g.add(name, about, out.Bytes())
}

// flowKind is what flows are counted by.
type flowKind struct{ route, protocol, state string }

// flowSum is what flows of one kind have in common.
type flowSum struct {
	flows, bytes uint64
	oldest, idle float64 // seconds
}

// mostKinds bounds the table of kinds: there may be 10,000 routes.
const mostKinds = 100_000

// addFlows adds how many flows there are, by route, protocol and state. Their clients are nobody's business.
func (g *gatherer) addFlows(ctx context.Context) {
	if g.process == nil {
		return
	}
	sums := map[flowKind]flowSum{}
	_, err := g.client.Flows(ctx, admin.FlowQuery{}, func(f admin.Flow) error {
		kind := flowKind{f.Route, f.Protocol, f.State}
		if _, known := sums[kind]; !known && len(sums) == mostKinds {
			return nil
		}
		s := sums[kind]
		sums[kind] = flowSum{s.flows + 1, s.bytes + f.ToOrigin + f.ToClient, max(s.oldest, f.AgeSeconds), max(s.idle, f.IdleSeconds)}
		return nil
	})
	if err != nil {
		g.missing("some flows", err)
	}
	grid := text.Grid{Columns: []text.Column{{Head: "ROUTE"}, {Head: "PROTOCOL"}, {Head: "STATE"}, {Head: "FLOWS", Right: true}, {Head: "BYTES", Right: true}, {Head: "OLDEST", Right: true}, {Head: "IDLEST", Right: true}}}
	for _, kind := range slices.SortedFunc(maps.Keys(sums), func(a, b flowKind) int { return cmp.Compare(sums[b].flows, sums[a].flows) }) {
		s := sums[kind]
		grid.Rows = append(grid.Rows, []string{kind.route, kind.protocol, kind.state, fmt.Sprint(s.flows), text.Bytes(s.bytes), text.Seconds(s.oldest), text.Seconds(s.idle)})
	}
	g.addText("flows.txt", "live conns and flows by route, protocol and state", func(out *bytes.Buffer) error { return grid.Write(out, 0) })
}

// Hostname is the name of this host in the name of a file.
func Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "host"
	}
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '_'
	}, name)
}
