package saved

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"anyport/proxy"
)

// Book is one process's use of the memory: its own page, and what it has read of others'. It belongs to
// one goroutine at a time.
type Book struct {
	area  area
	alive func(pid int) bool // whether there is a process of that number

	page     int // of this process; -1: it has none yet
	own      header
	encoder  encoder
	others   map[uint64]*other // by id: processes whose counts are not in this one's page
	absorbed map[uint64]int    // id → page: of processes that have ended, whose counts go into the next record
}

// other is a process that may still count.
type other struct {
	page  int
	seq   uint64 // of the record that was read last; 0: none
	pid   int
	added Counts // what was read of it, and added to this process's counters
}

// Found is what a process finds in the memory when it opens it.
type Found struct {
	Orders  []byte // of the process that was the last to serve; nil: there are none
	Counts  Counts // that this process had saved; only those that are [Latest] are not yet this process's
	Problem error  // why some of the memory counts as empty; nil: all of it was read
}

// Open opens the memory for a process that serves from now on. Before it no other process may do more than
// save its last counts: see [Book.Save].
func Open(m Memory, pid int, alive func(pid int) bool) (*Book, Found, error) {
	a, problem, err := openArea(m)
	if err != nil {
		return nil, Found{}, err
	}
	b := &Book{area: a, page: -1, alive: alive, encoder: encoder{room: a.room()}, others: map[uint64]*other{}, absorbed: map[uint64]int{}}
	found := Found{Problem: problem}
	b.own = header{id: 1, pid: uint32(pid)}
	serving := uint64(0) // id of the last process that served
	var ended []uint64   // that others have absorbed
	for page := range pageCount {
		h, raw, ok := a.read(page)
		if !ok {
			if a.damaged(page) {
				found.Problem = errors.Join(found.Problem, fmt.Errorf("page %d is damaged", page))
			}
			continue
		}
		b.own.id = max(b.own.id, h.id+1)
		c, err := decode(raw)
		if err != nil {
			found.Problem = errors.Join(found.Problem, fmt.Errorf("page %d: %w", page, err))
			continue
		}
		b.others[h.id] = &other{page: page, pid: int(h.pid)}
		ended = append(ended, c.absorbed...)
		if h.id > serving {
			serving, found.Orders, found.Counts = h.id, c.orders, c.counts
		}
	}
	for _, id := range ended {
		b.own.id = max(b.own.id, id+1)
		o := b.others[id]
		if o == nil {
			continue
		}
		delete(b.others, id)
		if err := a.erase(o.page); err != nil { // once its absorber is absorbed, nothing would say that it was
			return nil, Found{}, err
		}
	}
	return b, found, nil
}

// Pull calls add with what other processes have counted since the last Pull, and absorbs those that have
// ended. Only the process that serves may call it.
func (b *Book) Pull(add func(id proxy.CounterID, n uint64)) {
	for id, o := range b.others {
		ended := o.pid == int(b.own.pid) || !b.alive(o.pid) // asked before its last record is read
		h, _, ok := b.area.newest(o.page)
		if !ok || h.id != id {
			delete(b.others, id) // somebody has erased it: what was added stays
			continue
		}
		if h.seq != o.seq {
			b.pull(id, o, add)
		}
		if ended || h.last && o.seq == h.seq {
			b.absorbed[id] = o.page
			delete(b.others, id)
		}
	}
}

// pull adds what is new in one page. A record that is replaced while it is read is read with the next Pull.
func (b *Book) pull(id uint64, o *other, add func(id proxy.CounterID, n uint64)) {
	h, raw, ok := b.area.read(o.page)
	if !ok || h.id != id {
		return
	}
	c, err := decode(raw)
	if err != nil {
		return
	}
	for counter, n := range c.counts {
		if before := o.added[counter]; n > before && !Latest(counter) {
			add(counter, n-before)
		}
	}
	o.seq, o.added = h.seq, c.counts
}

// Latest reports whether a counter is not added up over processes: what the process that served last has
// saved is its value. Its key begins with "=".
func Latest(id proxy.CounterID) bool { return strings.HasPrefix(id.Key, "=") }

// Others returns what other processes that still count had saved last as their value of a counter, by pid.
func (b *Book) Others(id proxy.CounterID) map[int]uint64 {
	values := map[int]uint64{}
	for _, o := range b.others {
		if n := o.added[id]; n > 0 {
			values[o.pid] = n
		}
	}
	return values
}

// ErrTaken is the error of a Save after another process has absorbed or taken the page.
var ErrTaken = errors.New("another process uses the memory of this one")

// Save writes the counters that each yields, and the orders, to this process's page. last says that
// nothing more comes. What has no room is left out, and full says that.
func (b *Book) Save(each func(yield func(id proxy.CounterID, n uint64)), orders []byte, last bool) (full bool, err error) {
	if b.page < 0 {
		if err := b.takePage(); err != nil {
			return false, err
		}
	} else if h, _, ok := b.area.newest(b.page); !ok || h.id != b.own.id {
		return false, ErrTaken
	}
	if err := b.encoder.begin(slices.Sorted(maps.Keys(b.absorbed)), orders); err != nil {
		return false, err
	}
	each(func(id proxy.CounterID, n uint64) {
		for _, o := range b.others { // theirs are in their own pages
			if !Latest(id) {
				n -= min(n, o.added[id])
			}
		}
		if n > 0 {
			b.encoder.count(id, n)
		}
	})
	b.own.seq, b.own.last = b.own.seq+1, last
	if err := b.area.write(b.page, b.own, b.encoder.bytes); err != nil {
		return false, err
	}
	return b.encoder.full, b.eraseAbsorbed()
}

// takePage finds a page for this process: a free one, or else that of a process whose counts go into the
// first record. If each page seems to belong to a living process, that is the oldest one: it notices, and
// saves nothing more.
func (b *Book) takePage() error {
	used := map[int]bool{}
	for _, o := range b.others {
		used[o.page] = true
	}
	for _, page := range b.absorbed {
		used[page] = true
	}
	for page := range pageCount {
		if !used[page] {
			b.page = page
			return b.area.erase(page) // its contents cannot be used
		}
	}
	if len(b.absorbed) == 0 {
		oldest := slices.Min(slices.Collect(maps.Keys(b.others)))
		b.absorbed[oldest] = b.others[oldest].page
		delete(b.others, oldest)
	}
	for id, page := range b.absorbed {
		h, _, _ := b.area.newest(page)
		b.page, b.own.seq = page, h.seq // the next record is newer
		delete(b.absorbed, id)
		break
	}
	return nil
}

// eraseAbsorbed frees the pages whose counts are in this process's page now.
func (b *Book) eraseAbsorbed() error {
	for id, page := range b.absorbed {
		if h, _, ok := b.area.newest(page); ok && h.id == id {
			if err := b.area.erase(page); err != nil {
				return err
			}
		}
		delete(b.absorbed, id)
	}
	return nil
}
