// Package admin is the admin API as its clients see it: the types of its questions and answers,
// and the [Client] that the commands ask with. The server is package api.
//
//	status.go     the answer of `anyport status`; its parts: routes.go, origins.go, steering.go, announce.go, peers.go, trial.go
//	trace.go      the events of `anyport trace`
//	flow.go       live conns and flows
//	health.go     the answer of /livez and /readyz
//	orders.go     reload, drain, upgrade and explain: what is asked and what is answered
//	sysdump.go    what a process adds to anyport sysdump
//	client.go     what can be asked; client_flows.go: of live conns and flows
//	request.go    HTTP over the unix socket, and its errors
//	refusal.go    what a refusal is about, in a word
//	files.go      file descriptors that go along with a request
//
// An answer is one JSON object whose keys are part of the product: keys may be added, never
// renamed. So the types here are written down again rather than shared with what they report on,
// and the package imports neither proxy nor steering: a client links no proxy and no BPF, and no
// change there can rename a key.
package admin
