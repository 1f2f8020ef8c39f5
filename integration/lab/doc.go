// Package lab makes hosts out of anonymous network namespaces: when the process that
// made them ends, for whatever reason, the kernel removes them. It needs root.
package lab
