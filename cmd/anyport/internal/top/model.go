package top

import (
	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// view is one of the tables.
type view int

const (
	routesView view = iota
	originsView
	flowsView
	views
)

func (v view) String() string { return [views]string{"routes", "origins", "flows"}[v] }

// orders are the words to sort a view by, the usual one first.
func (v view) orders() []string {
	if v == flowsView {
		return text.FlowOrders
	}
	return []string{"file", "bytes", "live", "new", "errors", "name"}
}

// picture is what was read last: rates are those between two samples.
type picture struct {
	status  *admin.Status
	now     text.Sample
	routes  []text.RatedRoute
	origins []text.RatedOrigin
	flows   []admin.Flow
	total   int // flows that match; flows has those that carried most
}

// model is the state of the screen. Only the goroutine of Run touches it.
type model struct {
	view   view
	sort   [views]int // an index of orders
	filter [views]string
	scope  admin.FlowFilter // of the flows: of one route or origin
	typing bool             // a filter
	help   bool
	paused bool

	selected, offset [views]int // rows, after the filter
	rows             int        // of the table that the screen has room for

	picture  picture
	failed   string // why the last sample failed; "": it did not
	message  string // of an order; shown until the next key
	question string // to be confirmed by y
	victims  admin.FlowFilter
}
