package scans

import (
	"maps"
	"math"
	"slices"
)

// grid counts the packets to each port of a prefix over one protocol, in the hour that runs and the one before.
// The zero value has none. One in which every port is counted in both hours takes 256 KiB.
type grid struct{ current, previous window }

// window has the ports that got anything, 256 to a block.
type window map[uint8]*[256]uint16

func (g *grid) add(port uint16) {
	if g.current == nil {
		g.current = window{}
	}
	block := g.current[uint8(port>>8)]
	if block == nil {
		block = new([256]uint16)
		g.current[uint8(port>>8)] = block
	}
	if n := &block[uint8(port)]; *n < math.MaxUint16 {
		*n++
	}
}

// PortCount is the packets to one port, at most twice 65,535.
type PortCount struct {
	Port    uint16
	Packets int
}

// counts lists the ports that got any, in order.
func (g *grid) counts() (all []PortCount) {
	blocks := maps.Clone(g.current)
	if blocks == nil {
		blocks = window{}
	}
	maps.Copy(blocks, g.previous)
	for _, high := range slices.Sorted(maps.Keys(blocks)) {
		for low := range 256 {
			if n := g.current.at(high, low) + g.previous.at(high, low); n > 0 {
				all = append(all, PortCount{uint16(high)<<8 | uint16(low), n})
			}
		}
	}
	return all
}

func (w window) at(high uint8, low int) int {
	if block := w[high]; block != nil {
		return int(block[low])
	}
	return 0
}
