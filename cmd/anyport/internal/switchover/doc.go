// Package switchover writes the steps by which anyport takes the place of a proxy behind TPROXY rules, and
// those back, as a shell script that nobody runs: an operator types it step by step. `anyport import
// --script` prints it.
//
// [Script] is pure. What it has to know is in [Facts]: the order of the steps depends on who wins while
// both proxies run, and on what the rules do when their proxy has ended.
package switchover
