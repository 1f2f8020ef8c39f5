package api

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Times of the stream of events.
const (
	eventInterval   = time.Second
	eventShare      = 50 // the part of all time, as a divisor, that making events may take: with very many routes they are rarer
	mostInterval    = 10 * time.Second
	eventReadWithin = 10 * time.Second // or the reader has gone, or does not read
)

// events sends the status to every open page as server-sent events (WHATWG HTML, section 9.2). The status is
// asked for once for all pages, and only while there is one. All methods may be called from any goroutine.
type events struct {
	status func() admin.Status

	mu      sync.Mutex
	pages   map[chan []byte]bool // each holds the newest event that its page has not read yet
	running bool                 // a goroutine makes events
	ended   chan struct{}        // closed when the server stops
}

func newEvents(status func() admin.Status) *events {
	return &events{status: status, pages: map[chan []byte]bool{}, ended: make(chan struct{})}
}

// open adds a page. The first one starts the goroutine that makes events; it ends after the last has left.
func (e *events) open() (page chan []byte, ended <-chan struct{}) {
	page = make(chan []byte, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pages[page] = true
	if !e.running {
		e.running = true
		go e.run()
	}
	return page, e.ended
}

func (e *events) close(page chan []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pages, page)
}

// end ends the streams of all pages that are open now.
func (e *events) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.ended)
	e.ended = make(chan struct{})
}

// run makes events until no page is open.
func (e *events) run() {
	for {
		begun := time.Now()
		text, err := json.Marshal(snapshotOf(e.status(), begun))
		if err != nil {
			panic(err) // the types are ours
		}
		if !e.send(text) {
			return
		}
		time.Sleep(pause(time.Since(begun)))
	}
}

// send gives an event to each page. It never waits: a page that has not read the one before gets only this one.
func (e *events) send(text []byte) (open bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for page := range e.pages {
		select {
		case <-page:
		default:
		}
		page <- text // only this goroutine sends
	}
	e.running = len(e.pages) > 0
	return e.running
}

// pause is the time to the next event, if this one took so long to make.
func pause(took time.Duration) time.Duration {
	return min(max(eventInterval, took*eventShare), mostInterval)
}

// ServeHTTP streams events to a page until it is closed, does not read, or the server stops.
func (e *events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // fails if the conn is closed; a deadline would end the stream
	page, ended := e.open()
	defer e.close(page)
	for {
		select {
		case <-r.Context().Done():
			return
		case <-ended:
			return
		case text := <-page:
			_ = c.SetWriteDeadline(time.Now().Add(eventReadWithin))
			if err := writeEvent(w, c, text); err != nil {
				return
			}
		}
	}
}

// writeEvent writes one event, which is one line.
func writeEvent(w http.ResponseWriter, c *http.ResponseController, text []byte) error {
	for _, part := range [][]byte{[]byte("data: "), text, []byte("\n\n")} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return c.Flush()
}
