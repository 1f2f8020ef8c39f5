// Package doctor says whether this host can run anyport, and what to type if it cannot.
//
// [Gather] reads the facts and changes nothing; [Examine] judges them and is pure: each check is one
// function from the facts to its findings. What Gather could not read, no check judges: the finding
// then says so.
//
//	doctor.go                     the list of checks, and the report
//	facts.go                      what the checks judge
//	gather*.go                    reads it: process, network, packet filters
//	machine.go, privileges.go     kernel features, files, capabilities
//	killed.go                     pins, and what happens when anyport is killed
//	network.go, sysctl.go         routes, neighbours, kernel settings
//	listeners.go                  sockets of other processes that would get nothing more
//	tproxy*.go, ruleset.go        TPROXY rules that win over the steering, and what they leave
//	takeover.go                   TPROXY rules that would lose to a start, for anyport run
//	nat*.go                       DNAT rules that change a dst before the steering sees it
//	rules_nft.go                  rules as nft prints them
//	text.go                       the report for people
package doctor
