// Package inflight has a dying process release some of its files after all others. It is for links of
// programs: they must go on until the device with the local routes has ended.
package inflight
