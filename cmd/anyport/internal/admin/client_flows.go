package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
)

// Flows calls each for every live conn and flow of the query, as they arrive: there may be more than memory
// should hold. An answer that is cut short is an error, after the flows that did arrive. rest is the answer
// without its flows.
func (c Client) Flows(ctx context.Context, query FlowQuery, each func(Flow) error) (rest FlowList, err error) {
	body, err := c.send(ctx, http.MethodGet, "/flows", query.values())
	if err != nil {
		return rest, err
	}
	defer body.Close()
	in := json.NewDecoder(body)
	for range 3 { // the object, its key, the list
		if _, err := in.Token(); err != nil {
			return rest, c.unreadable(err)
		}
	}
	for in.More() {
		var f Flow
		if err := in.Decode(&f); err != nil {
			return rest, c.unreadable(err)
		}
		if err := each(f); err != nil {
			return rest, err
		}
	}
	if _, err := in.Token(); err != nil { // without the end of the list, flows are missing
		return rest, c.unreadable(err)
	}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return rest, c.unreadable(err)
		}
		var ignored any
		value := map[json.Token]any{"total": &rest.Total, "left": &rest.Left}[key]
		if value == nil { // of a later version
			value = &ignored
		}
		if err := in.Decode(value); err != nil {
			return rest, c.unreadable(err)
		}
	}
	return rest, nil
}

// CopyFlows writes the same answer to out as it arrives: one JSON object.
func (c Client) CopyFlows(ctx context.Context, query FlowQuery, out io.Writer) error {
	body, err := c.send(ctx, http.MethodGet, "/flows", query.values())
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(out, body)
	return err
}

// FlowList asks for all conns and flows of a query at once. Its limit bounds them.
func (c Client) FlowList(ctx context.Context, query FlowQuery) (*FlowList, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return ask[FlowList](ctx, c, http.MethodGet, "/flows", query.values())
}

// Kill ends the conns and flows that match. It returns when they have ended.
func (c Client) Kill(ctx context.Context, filter FlowFilter) (*Killed, error) {
	return ask[Killed](ctx, c, http.MethodPost, "/kill", filter.values())
}
