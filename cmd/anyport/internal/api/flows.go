package api

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
)

// flowOf is a conn in the words of the admin API.
func flowOf(c route.Conn) admin.Flow {
	f := admin.Flow{
		ID: c.ID.String(), Protocol: c.Protocol.String(), Client: c.Client.String(), Dst: c.Dst.String(), Route: c.Route,
		State: c.State.String(), Waiting: c.State == route.Waiting,
		AgeSeconds: seconds(c.Age), IdleSeconds: seconds(c.Idle), ToOrigin: c.ToOrigin, ToClient: c.ToClient,
	}
	if c.Peer.IsValid() {
		f.Peer = c.Peer.String()
	}
	if c.Origin.IsValid() {
		f.Origin = c.Origin.String()
	}
	switch {
	case c.Protocol != config.UDP:
	case c.Path == route.FastForwarded:
		f.Path = admin.PathKernel
	default:
		f.Path, f.PathReason = admin.PathUser, c.Path.String()
	}
	return f
}

// seconds rounds to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// flows answers with all conns and flows that match the request, or with the first of them in some order.
// Without an order it writes page by page, so that a hundred thousand of them take no memory here.
func (a *API) flows(w http.ResponseWriter, r *http.Request) {
	query, err := admin.ParseFlowQuery(r.URL.Query())
	if err != nil {
		a.write(w, nil, err)
		return
	}
	conns, err := a.service.Conns(query.Route)
	if err != nil {
		a.write(w, nil, err)
		return
	}
	conns = matching(conns, query.FlowFilter)
	if query.Sort != "" {
		list := firstOf(conns, orders[query.Sort], query.Limit)
		list.Left = a.service.Left()
		a.write(w, list, nil)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := writeFlows(w, conns, query.Limit, a.service.Left()); err != nil {
		a.log.Debug("an answer was not read", "error", err)
	}
}

// kill ends the conns and flows that match the request. Without any condition it is refused: that would
// end all.
func (a *API) kill(r *http.Request) (admin.Killed, error) {
	filter, err := admin.ParseFlowFilter(r.URL.Query())
	if err == nil && filter.Empty() {
		err = errors.New("nothing says which conns and flows to end: name an id, a route or a client")
	}
	if err != nil {
		return admin.Killed{}, err
	}
	found := map[string]bool{} // ids; one loop at a time asks
	matches := matcher(filter)
	ended, err := a.service.Kill(r.Context(), filter, func(c *route.Conn) bool {
		if !matches(c) {
			return false
		}
		if len(filter.IDs) > 0 {
			found[c.ID.String()] = true
		}
		return true
	})
	missing := slices.DeleteFunc(slices.Clone(filter.IDs), func(id string) bool { return found[id] })
	return admin.Killed{Ended: ended, Missing: append([]string{}, missing...), Left: a.service.Left()}, err
}

// matching leaves out the conns that do not match.
func matching(conns iter.Seq[route.Conn], f admin.FlowFilter) iter.Seq[route.Conn] {
	matches := matcher(f)
	return func(yield func(route.Conn) bool) {
		for c := range conns {
			if matches(&c) && !yield(c) {
				return
			}
		}
	}
}

// matcher reports whether a conn matches a filter. What costs most comes last.
func matcher(f admin.FlowFilter) func(*route.Conn) bool {
	return func(c *route.Conn) bool {
		return (f.Route == "" || f.Route == c.Route) &&
			(f.Protocol == "" || f.Protocol == c.Protocol.String()) &&
			(f.State == "" || f.State == c.State.String()) &&
			f.Client.Has(c.Client) && f.Dst.Has(c.Dst) && f.Origin.Has(c.Origin) &&
			(len(f.IDs) == 0 || slices.Contains(f.IDs, c.ID.String()))
	}
}

// writeFlows writes an admin.FlowList, one flow a line. A limit of 0 is none.
func writeFlows(w io.Writer, conns iter.Seq[route.Conn], limit int, left []admin.Left) error {
	out := bufio.NewWriter(w)
	out.WriteString(`{"flows":[`)
	separator, n := "\n", 0
	for c := range conns {
		text, err := json.Marshal(flowOf(c))
		if err != nil {
			return err
		}
		out.WriteString(separator)
		if _, err := out.Write(text); err != nil { // the client is gone: read no more pages
			return err
		}
		separator = ",\n"
		if n++; n == limit {
			break
		}
	}
	out.WriteString("\n]")
	if len(left) > 0 {
		text, err := json.Marshal(left)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, `,"left":%s`, text)
	}
	out.WriteString("}\n")
	return out.Flush()
}

// orders compare two conns, by the words of admin.FlowSorts.
var orders = map[string]func(a, b route.Conn) int{
	"age":   func(a, b route.Conn) int { return cmp.Compare(b.Age, a.Age) },
	"bytes": func(a, b route.Conn) int { return cmp.Compare(b.ToOrigin+b.ToClient, a.ToOrigin+a.ToClient) },
	"idle":  func(a, b route.Conn) int { return cmp.Compare(b.Idle, a.Idle) },
}

// firstOf returns the first n of the conns in an order.
func firstOf(conns iter.Seq[route.Conn], order func(a, b route.Conn) int, n int) admin.FlowList {
	first := admin.First[route.Conn]{Most: n, Order: order}
	for c := range conns {
		first.Add(c)
	}
	list := admin.FlowList{Flows: []admin.Flow{}}
	chosen, total := first.List()
	for _, c := range chosen {
		list.Flows = append(list.Flows, flowOf(c))
	}
	list.Total = total
	return list
}
