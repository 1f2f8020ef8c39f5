package saved

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"anyport/proxy"
)

var counter = proxy.CounterID{Route: "web", Key: "arrived"}

// model is a host on which processes follow each other: by upgrades, after which the old ones still count
// for a while, and after being killed.
type model struct {
	t       *testing.T
	memory  *fakeMemory
	living  map[int]*modelProcess
	serves  *modelProcess
	pids    int
	crashes bool

	counted uint64 // by all processes
	seen    uint64 // the largest total that was shown
}

// modelProcess is one of them.
type modelProcess struct {
	pid   int
	book  *Book
	count uint64 // with what it has pulled
}

// open starts a process that serves. With pid 1 each has the number of the one before, as in containers.
func (m *model) open(pid int) {
	m.t.Helper()
	m.memory.limit = -1
	p := &modelProcess{pid: pid}
	book, found, err := Open(m.memory, pid, func(pid int) bool { return m.living[pid] != nil })
	if err != nil || found.Problem != nil && !m.crashes { // one may be killed while it writes its first header
		m.t.Fatal(err, found.Problem)
	}
	p.book = book
	m.living[pid], m.serves = p, p
	m.save(p, false)
	m.show()
}

func (m *model) pull(p *modelProcess) {
	p.book.Pull(func(id proxy.CounterID, n uint64) {
		if id != counter {
			m.t.Fatalf("%v is pulled", id)
		}
		p.count += n
	})
}

// save saves what p has counted. It fails if p is killed meanwhile: see fakeMemory.
func (m *model) save(p *modelProcess, last bool) error {
	if p == m.serves {
		m.pull(p)
	}
	_, err := p.book.Save(func(yield func(proxy.CounterID, uint64)) {
		if p.count > 0 {
			yield(counter, p.count)
		}
	}, []byte(fmt.Sprint(p.pid)), last)
	return err
}

// show checks the total that the serving process would answer with: it never falls.
func (m *model) show() {
	m.t.Helper()
	m.pull(m.serves)
	if m.serves.count < m.seen || m.serves.count > m.counted {
		m.t.Fatalf("it shows %d after %d, and %d were counted", m.serves.count, m.seen, m.counted)
	}
	m.seen = m.serves.count
	if err := m.save(m.serves, false); err != nil && !errors.Is(err, ErrTaken) {
		m.t.Fatal(err)
	}
}

// kill ends p after it has written a part of what it saves, or all of it.
func (m *model) kill(p *modelProcess, written int) {
	m.memory.limit = written
	_ = m.save(p, false)
	m.memory.limit = -1
	delete(m.living, p.pid)
}

// TestBook plays random lives of processes: what a process has shown is never more than what a later one
// shows, and without crashes nothing is lost or counted twice.
func TestBook(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{t: t, memory: newMemory(), living: map[int]*modelProcess{}, crashes: seed%2 == 0}
		container := seed%4 == 0
		next := func() int {
			if m.pids++; container && len(m.living) == 0 {
				return 1
			}
			return m.pids + 1
		}
		m.open(next())
		for range 60 {
			p := m.serves
			for _, any := range m.living {
				p = any
			}
			switch r.IntN(8) {
			case 0, 1, 2:
				n := uint64(r.IntN(10))
				p.count, m.counted = p.count+n, m.counted+n
			case 3:
				_ = m.save(p, false)
			case 4:
				m.show()
			case 5: // an upgrade
				if len(m.living) < pageCount || m.crashes {
					if err := m.save(m.serves, false); err != nil && !errors.Is(err, errKilled) {
						t.Fatal(err)
					}
					m.open(next())
				}
			case 6: // an old process ends in order
				if p != m.serves {
					if err := m.save(p, true); err != nil && !errors.Is(err, ErrTaken) {
						t.Fatal(err)
					}
					delete(m.living, p.pid)
				}
			case 7:
				if !m.crashes {
					continue
				}
				m.kill(p, r.IntN(300))
				if p == m.serves {
					m.open(next())
				}
			}
		}
		for _, p := range m.living {
			if p != m.serves {
				_ = m.save(p, true)
			}
		}
		m.show()
		if !m.crashes && m.seen != m.counted {
			t.Fatalf("seed %d: %d in the end, and %d were counted", seed, m.seen, m.counted)
		}
	}
}

// TestOrders: the process that served last has the word, and one that still ends conns has not.
func TestOrders(t *testing.T) {
	m := &model{t: t, memory: newMemory(), living: map[int]*modelProcess{}}
	m.open(10)
	old := m.serves
	m.open(11)
	if err := m.save(old, false); err != nil {
		t.Fatal(err)
	}
	delete(m.living, 11)
	_, found, err := Open(m.memory, 12, func(int) bool { return false })
	if err != nil || string(found.Orders) != "11" {
		t.Errorf("the orders of %q, %v", found.Orders, err)
	}
}

// TestTaken: a process whose page another one uses writes there no more.
func TestTaken(t *testing.T) {
	m := &model{t: t, memory: newMemory(), living: map[int]*modelProcess{}}
	m.open(10)
	lost := m.serves
	delete(m.living, 10) // as it seems
	m.open(11)
	m.open(12)
	lost.count, m.counted = 5, 5
	if err := m.save(lost, false); err != nil && !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	m.show()
}

// TestForeignMemory: memory of another version, or of noise, counts as empty, and is said to be so once.
func TestForeignMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	saved := newMemory()
	m := &model{t: t, memory: saved, living: map[int]*modelProcess{}}
	m.open(10)
	m.serves.count, m.counted = 5, 5
	m.show()
	for _, test := range []struct {
		name    string
		spoil   func(b []byte)
		problem string
		left    uint64
	}{
		{"untouched", func([]byte) {}, "", 5},
		{"another version", func(b []byte) { copy(b, "anyport saved 2\n") }, "another version", 0},
		{"noise", func(b []byte) {
			for i := headSize; i < len(b); i++ {
				b[i] = byte(r.Uint32())
			}
		}, "damaged", 0},
		{"all noise", func(b []byte) {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}, "another version", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			spoiled := newMemory()
			copy(spoiled.b, saved.b)
			test.spoil(spoiled.b)
			for n := range 2 {
				got := uint64(0)
				book, found, err := Open(spoiled, 11+n, func(int) bool { return false })
				if err != nil {
					t.Fatal(err)
				}
				book.Pull(func(_ proxy.CounterID, n uint64) { got += n })
				if got != test.left {
					t.Errorf("%d is left, want %d", got, test.left)
				}
				if n == 0 && (found.Problem == nil) != (test.problem == "") || found.Problem != nil && !strings.Contains(found.Problem.Error(), test.problem) {
					t.Errorf("open %d: problem %v, want %q", n, found.Problem, test.problem)
				}
				for range 2 {
					if _, err := book.Save(func(yield func(proxy.CounterID, uint64)) { yield(counter, got) }, nil, false); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	if _, _, err := Open(&fakeMemory{make([]byte, 100), -1}, 1, nil); err == nil {
		t.Error("100 bytes are enough")
	}
}

// TestSpoiled turns over bits of good memory: nothing panics, and no count is larger than it was.
func TestSpoiled(t *testing.T) {
	m := &model{t: t, memory: newMemory(), living: map[int]*modelProcess{}}
	m.open(10)
	m.serves.count, m.counted = 5, 5
	m.show()
	m.open(11)
	m.show()
	r := rand.New(rand.NewPCG(1, 3))
	used := headSize + 2*pageCount*(len(m.memory.b)/(2*pageCount))
	for range 20_000 {
		spoiled := &fakeMemory{append([]byte{}, m.memory.b...), -1}
		for range 1 + r.IntN(3) {
			half := r.IntN(2*pageCount) * ((len(spoiled.b) - headSize) / (2 * pageCount) &^ 7)
			at := min(r.IntN(headSize+half+100), used, len(spoiled.b)-1)
			spoiled.b[at] ^= 1 << r.IntN(8)
		}
		book, _, err := Open(spoiled, 12, func(int) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		got := uint64(0)
		book.Pull(func(_ proxy.CounterID, n uint64) { got += n })
		if got > 5 {
			t.Fatalf("%d is left of 5", got)
		}
	}
}
