package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/goldentest"
	"anyport/cmd/anyport/internal/openapitest"
)

const openAPIFile = "../../../../docs/reference/openapi.json"

// operation is what the file says of a verb, beside what the table of verbs has.
type operation struct {
	summary    string
	parameters []parameter
	answer     any    // the type of its JSON; nil: not JSON
	media      string // of an answer that is not JSON
	lines      any    // the type of each line of such an answer; nil: it has no JSON
	failed     bool   // 503 has the same JSON
	example    string // a query that the fake service can answer
}

// parameter is one of the query.
type parameter struct {
	name, description string
	values            []string // nil: any text
	required, list    bool
}

// operations are by the pattern of the table, and of what only admin.http has.
var operations = func() map[string]operation {
	ofFlows := []parameter{
		{name: "id", description: "the id of a flow, as /flows lists it; may be repeated", list: true},
		{name: "route", description: "the name of its route"},
		{name: "client", description: "an address, a prefix, ADDRESS:PORT or :PORT"},
		{name: "dst", description: "where the client sends to, as client"},
		{name: "origin", description: "the address of its origin, as client"},
		{name: "protocol", values: []string{"tcp", "udp"}, description: "its protocol"},
		{name: "state", values: admin.FlowStates, description: "its state"},
	}
	on := []string{"1"}
	return map[string]operation{
		"GET /openapi.json": {summary: "This description", media: "application/json"},
		"GET /livez":        {summary: "Does the process work? 503 if an event loop has stood still for 10 seconds", answer: admin.Health{}, failed: true},
		"GET /readyz":       {summary: "Should new conns come here? 503 names each condition that has failed", answer: admin.Health{}, failed: true},
		"GET /about":        {summary: "What process it is: for the commands that give it an order", answer: admin.About{}},
		"GET /status":       {summary: "The process, its steering, routes, origins and counters: anyport status --json", answer: admin.Status{}},
		"GET /flows": {summary: "Live conns and flows: anyport flows --json", answer: admin.FlowList{}, example: "sort=bytes", parameters: append(slices.Clone(ofFlows),
			parameter{name: "sort", values: admin.FlowSorts, description: "the oldest, the busiest or the idlest first; without it in no particular order"},
			parameter{name: "limit", description: fmt.Sprintf("at most this many; of a sorted list from 1 to %d, which is also its default", admin.MostSorted)},
			parameter{name: "top", description: "the same as limit, with sort=bytes"})},
		"GET /trace": {summary: "What is decided about packets, conns and flows, as it happens, an object in each line: anyport trace --json", media: "application/x-ndjson", lines: admin.TraceEvent{}, parameters: []parameter{
			{name: "client", description: "an address, a prefix, ADDRESS:PORT or :PORT"},
			{name: "route", description: "the name of a route"}}},
		"GET /explain": {summary: "What happens to the first packet to a dst: anyport explain", answer: admin.Explained{}, example: "protocol=tcp&dst=192.0.2.1:80", parameters: []parameter{
			{name: "protocol", values: []string{"tcp", "udp"}, required: true, description: "of the packet"},
			{name: "dst", required: true, description: "ADDRESS:PORT"},
			{name: "client", description: "the address that the packet comes from"}}},
		"GET /scans": {summary: "Who sends to ports that nobody serves: anyport scans --json", answer: admin.Scans{}, example: "limit=10", parameters: []parameter{
			{name: "limit", description: fmt.Sprintf("at most this many of each kind, from 1 to %d, which is also its default", admin.MostScans)}}},
		"GET /drift":   {summary: "Where the tables in the kernel differ from the config in service: anyport status --drift --json", answer: admin.Drift{}},
		"GET /sysdump": {summary: "The status and the newest lines of the log, with *** in place of the secrets of the file: for anyport sysdump", answer: admin.Sysdump{}},
		"POST /kill":   {summary: "End the live conns and flows that match, of which at least one parameter must be set: anyport kill", answer: admin.Killed{}, example: "route=web", parameters: ofFlows},
		"POST /drain": {summary: "A route takes no new conns: anyport drain", answer: admin.Drained{}, parameters: []parameter{
			{name: "route", description: "its name; without it, all routes"},
			{name: "undo", values: on, description: "take new conns again"},
			{name: "wait", values: on, description: "answer when the last conn has ended"},
			{name: "force", values: on, description: "also if too few other hosts of the fleet announce their prefixes"}}},
		"POST /confirm": {summary: "Keep what a run with --confirm would give back: anyport confirm", answer: admin.Confirmed{}},
		"POST /origin": {summary: "Force a state on an origin, or set its weight: anyport origin", answer: admin.OriginStatus{}, example: "route=web&address=10.0.0.5:80&state=drain", parameters: []parameter{
			{name: "route", required: true, description: "the name of its route"},
			{name: "address", required: true, description: "as the file has it"},
			{name: "state", values: []string{"drain", "down", "ready"}, description: "without it, weight is set"},
			{name: "weight", description: "from 0 to 65535, until the next reload"}}},
		"POST /reload": {summary: "Load the file again: anyport reload --json", answer: admin.Reloaded{}, parameters: []parameter{
			{name: "dry_run", values: on, description: "say only what that would change"},
			{name: "share", description: "load the file for that many percent of the clients, more than 0 and less than 100"},
			{name: "end", values: []string{"all", "back"}, description: "end a share: all clients get the table of the share, or none"},
			{name: "fd", list: true, description: "the names of the file descriptors that come along (SCM_RIGHTS) on the admin socket, in their order; only root may send them"}}},
		"POST /upgrade": {summary: "Start another process that takes the place of this one: anyport upgrade", answer: admin.Upgraded{}, parameters: []parameter{
			{name: "binary", description: "its path; only root may name one. Without it, the binary of this process as it is on disk now"},
			{name: "share", description: "start a process that takes the new TCP conns of that many percent of the clients, more than 0 and less than 100"},
			{name: "end", values: []string{"all", "back"}, description: "end a share: the process of the share ends, and with all its binary then takes the place of this one"},
			{name: "fd", list: true, description: "the names of the file descriptors that come along (SCM_RIGHTS), in their order; only root may send them"}}},
		"GET /{$}":        {summary: "The dashboard", media: "text/html"},
		"GET /metrics":    {summary: "The metrics in the format of Prometheus", media: "text/plain"},
		"GET /api/events": {summary: "A stream of what the dashboard shows, one event a second (server-sent events)", media: "text/event-stream"},
		"GET /api/ports": {summary: "What the ports of a served prefix are: the dashboard's map", answer: admin.PortMap{}, parameters: []parameter{
			{name: "prefix", description: "a prefix, or an address of it; without it, the first"},
			{name: "protocol", values: []string{"tcp", "udp"}}}},
	}
}()

// TestOpenAPI: the file has every verb of the socket and of admin.http, and no others, with the types of their
// answers. -update writes it.
func TestOpenAPI(t *testing.T) {
	paths, schemas := map[string]any{}, newSchemas(t)
	known := map[string]bool{}
	add := func(pattern, path string, right *right, servers ...any) {
		known[pattern] = true
		o, ok := operations[pattern]
		if !ok || o.answer == nil && o.media == "" {
			t.Errorf("%s has no description in operations", pattern)
			return
		}
		method, _, _ := strings.Cut(pattern, " ")
		item, ok := paths[path].(map[string]any)
		if !ok {
			item = map[string]any{}
			paths[path] = item
		}
		described := o.describe(schemas, method, right)
		described["servers"] = servers
		described["operationId"] = strings.ToLower(method) + strings.ReplaceAll(strings.TrimSuffix(path, "/"), "/", "_")
		item[strings.ToLower(method)] = described
	}
	overSocket := map[string]any{"url": "http://anyport", "description": "the admin socket: curl --unix-socket /run/anyport/admin.sock"}
	overHTTP := map[string]any{"url": "http://127.0.0.1:9765", "description": "admin.http"}
	web := map[string]bool{}
	for _, v := range webVerbs() {
		web[v.pattern] = true
	}
	for _, v := range verbs {
		_, path, _ := strings.Cut(v.pattern, " ")
		switch {
		case web[v.pattern] && webPath(path) == path:
			add(v.pattern, path, &v.right, overSocket, overHTTP)
			continue
		case web[v.pattern]:
			add(v.pattern, webPath(path), nil, overHTTP)
		}
		add(v.pattern, path, &v.right, overSocket)
	}
	for pattern := range New(&fakeService{}, quiet(), nil).webOnly() {
		_, path, _ := strings.Cut(pattern, " ")
		add(pattern, strings.TrimSuffix(path, "{$}"), nil, overHTTP)
	}
	for pattern := range operations {
		if !known[pattern] {
			t.Errorf("operations has %s, which nothing answers", pattern)
		}
	}
	text, err := json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "anyport admin API", "version": "1", "description": "An answer is one JSON object. Keys may be added, and are never renamed: a client must ignore those that it does not know. " +
			"All parameters are in the query, and a request has no body. A refusal is its reason as text."},
		"paths": paths, "components": map[string]any{"schemas": schemas.all},
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Compare(t, openAPIFile, string(text)+"\n")
}

// describe is the operation in the words of OpenAPI. right is that of the socket; nil: over HTTP.
func (o operation) describe(s *schemas, method string, right *right) map[string]any {
	response := func(text, media string, schema any) map[string]any {
		return map[string]any{"description": text, "content": map[string]any{media: map[string]any{"schema": schema}}}
	}
	reason := map[string]any{"type": "string"}
	answer := response("The answer", o.media, map[string]any{"type": "string"})
	if o.answer != nil {
		answer = response("The answer", "application/json", s.of(o.answer))
	}
	if o.lines != nil {
		answer = response("A stream, of which each line is this", o.media, s.of(o.lines))
	}
	parameters := []any{}
	if right == nil && method != "GET" {
		parameters = append(parameters, map[string]any{"name": writeHeader, "in": "header", "required": true, "schema": map[string]any{"type": "string", "enum": []string{"1"}}, "description": "which a form of a web page cannot have"})
	}
	for _, p := range o.parameters {
		schema := map[string]any{"type": "string"}
		if p.values != nil {
			schema["enum"] = p.values
		}
		if p.list {
			schema = map[string]any{"type": "array", "items": schema}
		}
		parameters = append(parameters, map[string]any{"name": p.name, "in": "query", "required": p.required, "description": p.description, "schema": schema})
	}
	responses := map[string]any{"200": answer, "403": response("The client may not ask: by its user on the socket, by its Host and Origin headers over HTTP, or because admin.http_writes is off", "text/plain", reason)}
	if o.failed {
		responses["503"] = response("A condition has failed", "application/json", s.of(o.answer))
	} else if o.answer != nil || o.lines != nil {
		refused := response("It cannot be done, or a parameter is wrong", "text/plain", reason)
		refused["headers"] = map[string]any{admin.RefusedHeader: map[string]any{"schema": map[string]any{"type": "string", "enum": admin.RefusedWords()}, "description": "what some refusals are about, for programs"}}
		responses["409"] = refused
	}
	if right == nil || o.failed {
		responses["413"] = response("The request has a body", "text/plain", reason)
	}
	if right == nil && (strings.HasPrefix(o.summary, operations["GET /drift"].summary) || strings.HasPrefix(o.summary, operations["GET /explain"].summary)) {
		responses["429"] = response("Another request that takes long is being answered", "text/plain", reason)
	}
	described := map[string]any{"summary": o.summary, "parameters": parameters, "responses": responses}
	if right != nil {
		described["description"] = "On the socket for " + map[bool]string{true: "root, the user that anyport runs as, and the members of admin.group", false: "root and the user that anyport runs as"}[*right == groupToo] + "."
	}
	return described
}

// TestAnswersKeepToOpenAPI: what is answered to each verb is what the file says.
func TestAnswersKeepToOpenAPI(t *testing.T) {
	for _, v := range verbs {
		o := operations[v.pattern]
		if o.answer == nil {
			continue
		}
		method, path, _ := strings.Cut(v.pattern, " ")
		answer := asRoot(&fakeService{conns: someConns()}, httptest.NewRequest(method, path+"?"+o.example, nil))
		if answer.Code != 200 {
			t.Errorf("%s: %d, %s", v.pattern, answer.Code, answer.Body)
		}
		if v.pattern == "GET /status" || v.pattern == "GET /sysdump" || v.pattern == "POST /origin" { // the fake's have null where a real one has an object: see TestOpenAPIOfADaemon
			continue
		}
		for _, wrong := range openapitest.Check(schemaName(o.answer), answer.Body.Bytes()) {
			t.Errorf("%s: %s", v.pattern, wrong)
		}
	}
}

// TestWireKeepsToOpenAPI: the full answers of testdata/wire.json are what the file says, and an answer that is
// not is found.
func TestWireKeepsToOpenAPI(t *testing.T) {
	text, err := os.ReadFile("../admin/testdata/wire.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string]json.RawMessage
	if err := json.Unmarshal(text, &answers); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		for _, wrong := range openapitest.Check(name, answers[name]) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	for answer, want := range map[string]string{
		`{"ended":1}`:                             `$: the key "missing" is missing`,
		`{"ended":"1","missing":[]}`:              `$.ended: the value is of the type "string", and the schema has integer`,
		`{"ended":1.5,"missing":[]}`:              `$.ended: 1.5 is not an integer`,
		`{"ended":1,"missing":null}`:              `$.missing: <nil> is not of the type array`,
		`{"ended":1,"missing":[7]}`:               `$.missing[0]: the value is of the type "integer", and the schema has string`,
		`{"ended":1,"missing":[],"another":true}`: `$: the schema does not have the key "another"`,
		`[]`: `$: the value is of the type "array", and the schema has object`,
	} {
		if got := openapitest.Check("Killed", []byte(answer)); !slices.Contains(got, want) {
			t.Errorf("%s: %q, want %q", answer, got, want)
		}
	}
}
