// Package push puts a table into service on the hosts of a fleet, stage by stage, and back where a stage goes
// wrong.
//
//	stages.go   "1,10%,100%", and which hosts a stage takes
//	trial.go    one stage as the hosts' reports show it: wait, go on, or back; pure
//	renewals.go whether reports are still renewed; pure
//	counts.go   whether conns end worse than elsewhere, beyond chance; pure
//	run.go      a push from its begin to its end: reads the store, moves the pointer
//	watch.go    looks at the hosts until a stage has passed or failed
//	pointer.go  moves the pointer with a store that may not answer
//	back.go     a push --back
//	prune.go    which stored tables nobody needs any more
//	event.go    what a push says while it runs
//
// It knows the hosts by their reports only (package fleet), and asks nothing of them. A push that dies leaves
// a trial whose lease ends: the hosts go back without it.
package push
