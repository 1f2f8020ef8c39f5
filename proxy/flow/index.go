package flow

import (
	"hash/maphash"

	"anyport/proxy/call"
)

// index finds flows by their keys, which are in the flows: it has only a hash of each, which takes a
// quarter of the memory. Two flows hardly ever have the same hash, and no client can find such a pair;
// then the second one stands under the next number that is free, and so on.
type index[S any] struct {
	flows map[uint64]*Flow[S]
	hash  func(Key) uint64
}

func newIndex[S any]() index[S] {
	seed := maphash.MakeSeed()
	// Via has a pointer, and few peers share the clients and dsts that they name: it is only compared.
	hash := func(k Key) uint64 { return maphash.Comparable(seed, [2]call.Endpoint{k.Client, k.Dst}) }
	return index[S]{map[uint64]*Flow[S]{}, hash}
}

// find returns the flow of k, or nil, and where it stands or would stand.
func (x *index[S]) find(k Key) (f *Flow[S], at uint64) {
	for at = x.hash(k); ; at++ {
		if f = x.flows[at]; f == nil || f.Key == k {
			return f, at
		}
	}
}

func (x *index[S]) add(f *Flow[S]) {
	_, at := x.find(f.Key)
	x.flows[at] = f
}

// remove removes a flow, and moves those that are behind it only since it stood there.
func (x *index[S]) remove(k Key) {
	f, at := x.find(k)
	if f == nil {
		return
	}
	delete(x.flows, at)
	for at++; x.flows[at] != nil; at++ {
		behind := x.flows[at]
		delete(x.flows, at)
		x.add(behind)
	}
}
