// Package quota divides what a process may hold of something, such as files or flows, among its event
// loops.
//
// A part of it is each loop's own, so that a flood in one loop cannot take everything. The rest is
// common, for whichever loop asks first, since most clients may be in one loop. Loops never ask each
// other and never wait: a [Pool] is one atomic counter.
package quota
