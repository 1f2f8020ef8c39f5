package saved

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"anyport/proxy"
)

// Counts are counters by their names.
type Counts map[proxy.CounterID]uint64

// content is what a record holds.
type content struct {
	absorbed []uint64 // ids of the pages whose counts are in counts, while these pages are still there
	orders   []byte   // opaque here
	counts   Counts
}

// Tags of the counters' part. From tagCount on, a tag stands for the counter with the key of that number.
const (
	tagRoute  = iota // a text: what follows is of this route, and of no origin
	tagOrigin        // a text: what follows is of this origin of the route
	tagKey           // a text: the next key
	tagCount
)

// encoder writes the content of a record, of no more than room bytes. It is kept from record to record, so
// that a process with many routes makes no garbage each second.
type encoder struct {
	room   int
	bytes  []byte
	keys   map[string]uint64
	before proxy.CounterID // the counter that was written last
	full   bool            // some counters had no room
}

// begin starts another record.
func (e *encoder) begin(absorbed []uint64, orders []byte) error {
	e.bytes, e.before, e.full = e.bytes[:0], proxy.CounterID{}, false
	e.keys = make(map[string]uint64, len(e.keys))
	e.bytes = binary.AppendUvarint(e.bytes, uint64(len(absorbed)))
	for _, id := range absorbed {
		e.bytes = binary.AppendUvarint(e.bytes, id)
	}
	e.text(string(orders))
	if len(e.bytes) > e.room {
		return fmt.Errorf("%d bytes of orders, and there is room for %d", len(orders), e.room)
	}
	return nil
}

func (e *encoder) text(s string) {
	e.bytes = binary.AppendUvarint(e.bytes, uint64(len(s)))
	e.bytes = append(e.bytes, s...)
}

func (e *encoder) tagged(tag uint64, s string) {
	e.bytes = binary.AppendUvarint(e.bytes, tag)
	e.text(s)
}

// count writes one counter, or nothing where it has no room: then nothing more is written.
func (e *encoder) count(id proxy.CounterID, n uint64) {
	if e.full {
		return
	}
	end := len(e.bytes)
	again := id.Route != e.before.Route || id.Origin == "" && e.before.Origin != ""
	if again {
		e.tagged(tagRoute, id.Route)
	}
	if id.Origin != "" && (again || id.Origin != e.before.Origin) {
		e.tagged(tagOrigin, id.Origin)
	}
	key, known := e.keys[id.Key]
	if !known {
		e.tagged(tagKey, id.Key)
		key = uint64(len(e.keys))
		e.keys[id.Key] = key
	}
	e.bytes = binary.AppendUvarint(e.bytes, tagCount+key)
	e.bytes = binary.AppendUvarint(e.bytes, n)
	if e.before = id; len(e.bytes) > e.room {
		e.bytes, e.full = e.bytes[:end], true
	}
}

// errContent is the error of bytes that no encoder has written.
var errContent = errors.New("the record makes no sense")

// decode reads what an encoder has written. It never allocates more than a few times the size of b.
func decode(b []byte) (c content, err error) {
	d := decoder{b}
	n := d.number()
	if n > pageCount {
		return c, errContent
	}
	for range n {
		c.absorbed = append(c.absorbed, d.number())
	}
	c.orders = []byte(d.text())
	c.counts = Counts{}
	var keys []string
	var id proxy.CounterID
	for len(d.rest) > 0 {
		switch tag := d.number(); tag {
		case tagRoute:
			id = proxy.CounterID{Route: d.text()}
		case tagOrigin:
			id.Origin = d.text()
		case tagKey:
			keys = append(keys, d.text())
		default:
			if tag-tagCount >= uint64(len(keys)) {
				return c, errContent
			}
			id.Key = keys[tag-tagCount]
			c.counts[id] = d.number()
		}
	}
	if d.rest == nil {
		return c, errContent
	}
	return c, nil
}

// decoder reads bytes that may be anything. After an error rest is nil.
type decoder struct{ rest []byte }

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.rest = nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) text() string {
	n := d.number()
	if n > math.MaxInt32 || int(n) > len(d.rest) {
		d.rest = nil
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
