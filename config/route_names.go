package config

import (
	"fmt"
	"maps"
	"slices"

	"anyport/config/habits"
	"anyport/config/position"
)

// openRoutes opens the [route.NAME] tables of t. What stands in a [route] or [[route]]
// without a name becomes a route with a made-up name, so that its other mistakes are
// reported in the same run.
func (t *table) openRoutes() *table {
	nameless := t.nameless()
	routes := t.open("route")
	routes.section = "routes"
	for _, n := range nameless {
		name := freeName(n.values["name"], routes.values)
		routes.moved[name] = n.path
		routes.values[name] = n.values
		t.reportHeader(n.path, "a route needs a name", name)
	}
	routes.openDotted()
	return routes
}

// openDotted takes [route.a.b] for the route a-b, where a has nothing else.
func (t *table) openDotted() {
	for _, name := range slices.Sorted(maps.Keys(t.values)) {
		below, ok := t.values[name].(map[string]any)
		if !ok || !t.report.onlyTables(below) {
			continue
		}
		delete(t.values, name)
		for _, rest := range slices.Sorted(maps.Keys(below)) {
			whole := freeName(habits.Slug(name+"-"+rest), t.values)
			path := position.Join(t.pathOf(position.Join("", name)), rest)
			t.moved[whole], t.values[whole] = path, below[rest]
			t.reportHeader(path, "a route's name cannot have a dot", whole)
		}
	}
}

// onlyTables reports whether a route consists of tables that none can have.
func (r *report) onlyTables(route map[string]any) bool {
	for key, value := range route {
		if _, isTable := value.(map[string]any); !isTable || r.schema == nil || slices.Contains(r.schema.keys("route"), key) {
			return false
		}
	}
	return len(route) > 0
}

// reportHeader reports the header of a route, which should be that of name.
func (t *table) reportHeader(path, text, name string) {
	at, ok := t.report.at().Header(path)
	header := "[route." + name + "]"
	if p := t.report.addAt(at, t.route, "route", fmt.Sprintf("%s: write %s, or any other name", text, header)); ok {
		p.Fix = header
	}
}

// A namelessRoute is the keys that stand in a [route] or [[route]] itself.
type namelessRoute struct {
	path   string
	values map[string]any
}

// nameless takes the routes without a name out of t, and leaves those with one.
func (t *table) nameless() []namelessRoute {
	if t.report.schema == nil {
		return nil
	}
	path := t.pathOf("route")
	var found []namelessRoute
	switch routes := t.values["route"].(type) {
	case []map[string]any:
		for i, values := range routes {
			found = append(found, namelessRoute{fmt.Sprintf("%s[%d]", path, i), values})
		}
		t.values["route"] = map[string]any{}
	case map[string]any:
		own := map[string]any{}
		for key, value := range routes {
			if _, isTable := value.(map[string]any); !isTable && t.report.meansKey(key) {
				own[key] = value
				delete(routes, key)
			}
		}
		if len(own) > 0 {
			found = append(found, namelessRoute{path, own})
		}
	}
	return found
}

// meansKey reports whether a key without a table is one of a route, and no [[route.NAME]].
func (r *report) meansKey(key string) bool {
	meant, say := (&table{report: r, section: "route"}).meaning(key, r.schema.keys("route"))
	return meant != "" || say != ""
}

// freeName is wish, if that is a valid name that no route has, else web, web2, and so on.
func freeName(wish any, taken map[string]any) string {
	if name, ok := wish.(string); ok && routeName().MatchString(name) && taken[name] == nil {
		return name
	}
	for i := 1; ; i++ {
		name := "web"
		if i > 1 {
			name = fmt.Sprintf("web%d", i)
		}
		if _, is := taken[name]; !is {
			return name
		}
	}
}
