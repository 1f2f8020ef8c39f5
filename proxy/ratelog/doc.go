// Package ratelog logs faults that any packet can cause, with a bounded rate: a flood of packets must
// not become a flood of log lines.
package ratelog
