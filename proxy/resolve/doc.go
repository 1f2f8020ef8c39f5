// Package resolve keeps the addresses of DNS names up to date: of origins that the file gives by a name.
//
// What is known, and what has to be asked, is decided without I/O: a cache holds the replies to
// questions until their TTL ends, and a name's answer is composed of them. A [Resolver] asks what is
// missing, on a goroutine of its own, and publishes each answer that has changed. Nobody waits for it
// but [Resolver.Resolve], before a file comes into service: whoever picks an origin reads what was
// published last.
//
//	name.go           names, and what they stand for
//	cache.go          replies by question: how long each is kept, and what is kept after a failure
//	compose.go        the answer of a name from the cache, or the questions that are missing
//	reply.go          reads a DNS message as the reply to a question
//	systemfiles.go    /etc/hosts and /etc/resolv.conf
//	ask.go            asks the servers of resolv.conf in turn
//	exchange.go       one question to one server, over UDP or TCP
//	resolver.go       the goroutine that asks when something is due
//	refresh.go        reads the system's files again, and lists what is due
//	status.go         what `anyport status` shows
//
// It knows nothing of routes and origins, and it does not cache for others.
package resolve
