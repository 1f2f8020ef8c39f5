// Package peer deploys the proxies that the benchmarks compare, each as its own
// documentation would have it serve every port of a prefix.
package peer
