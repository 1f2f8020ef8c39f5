// Package follow is a host's part in a fleet: it keeps the contact with the source of [fleet], offers each
// table that this host ought to serve, and writes the host's reports. It decides nothing about a table:
// whoever takes the offers does, and serves on with what it has while the source is away.
//
//	source.go    where tables come from, in one form for etcd and https
//	follower.go  the contact: made, lost, made again
//	report.go    the reports, under a lease
//	place.go     where this process runs, to tell two hosts of one name apart
//	status.go    what is known about the contact
package follow
