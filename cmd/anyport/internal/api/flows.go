package api

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/route"
)

// flowOf is a conn in the words of the admin API.
func flowOf(c route.Conn) admin.Flow {
	f := admin.Flow{
		Protocol: c.Protocol.String(), Client: c.Client.String(), Dst: c.Dst.String(), Route: c.Route, Waiting: c.Waiting,
		AgeSeconds: seconds(c.Age), IdleSeconds: seconds(c.Idle), ToOrigin: c.ToOrigin, ToClient: c.ToClient,
	}
	if c.Peer.IsValid() {
		f.Peer = c.Peer.String()
	}
	if c.Origin.IsValid() {
		f.Origin = c.Origin.String()
	}
	return f
}

// seconds rounds to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// flows answers with all conns and flows, or those of one route; with "top", only the busiest. It
// writes page by page, so that a hundred thousand of them take no memory here.
func (a *API) flows(w http.ResponseWriter, r *http.Request) {
	conns, err := a.service.Conns(r.FormValue("route"))
	if err != nil {
		a.write(w, nil, err)
		return
	}
	if text := r.FormValue("top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > admin.MostTop {
			a.write(w, nil, fmt.Errorf("top must be a number from 1 to %d", admin.MostTop))
			return
		}
		a.write(w, busiest(conns, n), nil)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := writeFlows(w, conns); err != nil {
		a.log.Debug("an answer was not read", "error", err)
	}
}

// writeFlows writes a admin.FlowList, one flow a line.
func writeFlows(w io.Writer, conns iter.Seq[route.Conn]) error {
	out := bufio.NewWriter(w)
	out.WriteString(`{"flows":[`)
	separator := "\n"
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
	}
	out.WriteString("\n]}\n")
	return out.Flush()
}

// busiest returns the n that have carried most bytes, the busiest first. It keeps 2n at most.
func busiest(conns iter.Seq[route.Conn], n int) admin.FlowList {
	var best []route.Conn
	more := func(a, b route.Conn) int { return cmp.Compare(b.ToOrigin+b.ToClient, a.ToOrigin+a.ToClient) }
	for c := range conns {
		if best = append(best, c); len(best) == 2*n { // sorting is rare
			slices.SortStableFunc(best, more)
			best = best[:n]
		}
	}
	slices.SortStableFunc(best, more)
	list := admin.FlowList{Flows: []admin.Flow{}}
	for _, c := range best[:min(n, len(best))] {
		list.Flows = append(list.Flows, flowOf(c))
	}
	return list
}
