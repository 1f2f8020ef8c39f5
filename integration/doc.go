// Package integration tests anyport from outside. The tests build the binary, run it
// between a client and an origin in network namespaces of their own, and use only what
// a user has: the file, the commands, the log and the network.
//
//	client ──── edge (anyport run) ──── origin
//
// The namespaces are anonymous: when the test process ends, for whatever reason, the
// kernel removes them. The tests need root and skip without it; with REQUIRE_ROOT=1
// they fail instead.
//
// A file's name begins with what it tests:
//
//	tcp_, udp_       conns, flows and datagrams
//	protocol_        DNS, QUIC, TFTP and a game through anyport
//	proxy_header_    PROXY and SPP headers, and other programs that read them
//	steering_        which packets anyport gets, and what other programs do to that
//	netfilter_       rules of packet filters beside anyport
//	limits_          max_conns, rates, files, allow and deny
//	config_          files with errors, files that cannot be read
//	commands_        the commands, and what they print
//	admin_, log_     the admin socket and admin.http; the process log and the access log
//	reload_, upgrade_, stop_, crash_, systemd_
//	                 the life of a process, from the start to the next one
//	storm_, sweep_, options_, suites_
//	                 reloads under load; all ports; options combined; Go's own tests
//	privileges_, leak_, docs_
//	                 capabilities; files left open; the documents' files and commands
//	rig_, main_      no tests: hosts, processes, origins and anyport, for the tests
//
// ANYPORT_BINARY names a binary to test instead of building one.
// ANYPORT_FAST_PATH=off has all tests forward UDP flows in user space; auto also checks the tests that say
// that no flow of theirs comes into the kernel.
// ANYPORT_SWEEP=all tries every port, ANYPORT_SUITES=1 runs the long suites,
// ANYPORT_SOAK=1 the long forms of tests that have a short one.
package integration
