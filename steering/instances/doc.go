// Package instances lets the anyports of one network namespace know of each other. Each one
// listens on an abstract unix socket, which belongs to the namespace and ends with the process
// ([Announce]), and answers with what it serves ([List]). So two of them never serve the same
// prefix, and none removes the local routes of a living one.
package instances
