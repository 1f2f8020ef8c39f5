package daemon

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering/table"
)

// explain answers from the table in service, and asks the kernel.
func (d *daemon) explain(q admin.Question) admin.Explained {
	g, side := d.sideOf(q.Client)
	var kernel []string
	if q.At.IsZero() { // the kernel knows no other time than now
		q.At, kernel = time.Now(), d.steering.Explain(q.Protocol, q.Dst, q.Client)
	}
	answer := g.table.ExplainAt(q.Protocol, q.Dst, q.Client, q.At)
	for _, side := range []string{side, d.processOf(q)} {
		if side != "" {
			answer.Because = append(slices.Clone(answer.Because), side)
		}
	}
	if kernel != nil {
		kernel = append(kernel, d.explainAnnounced(answer.Prefix)...)
	}
	return admin.Explained{
		Text:   d.withHealth(answer, q).String(),
		Kernel: kernel,
		File:   d.fileAnswer(g.config, answer, q),
		PID:    os.Getpid(),
	}
}

// sideOf is the generation that serves a client, and why, if there are two.
func (d *daemon) sideOf(client netip.Addr) (*generation, string) {
	g, t := d.serving.Load(), d.trial.Load()
	switch {
	case t == nil:
		return g, ""
	case !client.IsValid():
		return g, fmt.Sprintf("generation %d is on trial for %v%% of the clients: this is the answer for the others; ask with --from", t.number, t.percent)
	case t.share.Takes(client):
		return t.generation, fmt.Sprintf("generation %d is on trial for %v%% of the clients: %s is one of them", t.number, t.percent, client)
	}
	return g, fmt.Sprintf("generation %d is on trial for %v%% of the clients: %s is not one of them", t.number, t.percent, client)
}

// processOf says which process has new conns of a client, if there are two.
func (d *daemon) processOf(q admin.Question) string {
	t := d.processTrial.Load()
	if t == nil || q.Protocol != config.TCP {
		return ""
	}
	trial := fmt.Sprintf("process %d takes the new conns of %v%% of the clients on trial: ", t.next.PID(), t.percent)
	switch {
	case !q.Client.IsValid():
		return trial + fmt.Sprintf("process %d has the others; ask with --from", os.Getpid())
	case t.share.Takes(q.Client):
		return trial + fmt.Sprintf("%s is one of them", q.Client)
	}
	return trial + fmt.Sprintf("%s is not one of them, and stays with process %d", q.Client, os.Getpid())
}

// withHealth adds to an answer of the table how the origins stand now.
func (d *daemon) withHealth(e table.Explanation, q admin.Question) table.Explanation {
	if e.Verdict != table.Steer || e.Route == nil {
		return e
	}
	origins, because, ok := d.proxy.ExplainOrigins(e.Route.Name, q.Protocol, q.Dst.Port(), q.Client)
	if ok {
		e.Origins, e.Because = origins, append(slices.Clone(e.Because), because...)
	}
	if fast := d.proxy.ExplainFast(e.Route.Name, q.Client); fast != "" && q.Protocol == config.UDP {
		e.Because = append(slices.Clone(e.Because), fast)
	}
	return e
}

// fileAnswer says whether the file on disk would have another answer than the config in service. It compiles
// the whole file, on the goroutine of the request: the one that decides never waits for it.
func (d *daemon) fileAnswer(serving *config.Config, answer table.Explanation, q admin.Question) string {
	text, err := d.readFile(serving.Path)
	if err != nil {
		return "it cannot be loaded any more: " + err.Error()
	}
	c, err := config.Parse(serving.Path, text)
	if err == nil {
		c, err = WithTable(c, tableIn(serving))
	}
	if err != nil {
		return "it cannot be loaded any more: " + config.Summary(err)
	}
	if config.Compare(serving, c).Empty() {
		return "it is what is in service"
	}
	table, err := table.Compile(c)
	if err != nil {
		return "it cannot be loaded any more: " + err.Error()
	}
	next := table.ExplainAt(q.Protocol, q.Dst, q.Client, q.At)
	if same(answer, next) {
		return "it has changed since, but not for this dst"
	}
	return fmt.Sprintf("it has changed since; after a reload: verdict %s, route %s, origin %s", next.Verdict, routeName(next), orNone(next.Origins))
}

// same reports whether two tables decide the same; the reasons may differ, such as after a route was renamed
// that did not win.
func same(a, b table.Explanation) bool {
	return a.Verdict == b.Verdict && routeName(a) == routeName(b) && a.Prefix == b.Prefix && a.Ports == b.Ports && slices.Equal(a.Origins, b.Origins)
}

// routeName is "-" if no route takes the packet.
func routeName(e table.Explanation) string {
	if e.Route == nil {
		return "-"
	}
	return e.Route.Name
}

// orNone is "-" for no origins.
func orNone(origins []string) string {
	if len(origins) == 0 {
		return "-"
	}
	return strings.Join(origins, ", ")
}
