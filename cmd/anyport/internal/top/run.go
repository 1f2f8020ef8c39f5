package top

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// mostFlows is how many flows are read for a picture: those that have carried most in all. With fewer flows
// than that the order by rate is exact.
const mostFlows = 5000

// Options are what Run needs.
type Options struct {
	Client   admin.Client
	In, Out  *os.File // terminals
	Interval time.Duration
	Pictures int // Run ends after this number of them; 0: never
}

// program is a run of the terminal program. Its goroutine is that of Run; others read the keys, and ask the
// running anyport.
type program struct {
	opt      Options
	terminal *terminal
	model    model

	keys    chan []key
	samples chan sample
	asking  bool // a sample is under way
	again   bool // and another one is wanted after it
	last    sample
	shown   int
}

// sample is the answers of one moment.
type sample struct {
	text.Sample
	flows admin.FlowList
	err   error
}

// Run shows the running anyport until a key, ctx or a signal ends it. The terminal is then as it was.
func Run(ctx context.Context, opt Options) error {
	first := ask(ctx, opt.Client, admin.FlowFilter{})
	if first.err != nil { // on the terminal as it was
		return first.err
	}
	t, err := openTerminal(opt.In, opt.Out)
	if err != nil {
		return err
	}
	defer t.close()
	p := &program{opt: opt, terminal: t, keys: make(chan []key), samples: make(chan sample, 1), last: first}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.readKeys(ctx)
	return p.loop(ctx)
}

// loop acts on keys, answers, the clock and the size of the terminal.
func (p *program) loop(ctx context.Context) error {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	ticker := time.NewTicker(p.opt.Interval)
	defer ticker.Stop()
	for p.opt.Pictures == 0 || p.shown < p.opt.Pictures {
		rows, columns := p.terminal.size()
		if err := p.terminal.show(p.model.draw(rows, columns), rows); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case <-ticker.C:
			if !p.model.paused {
				p.sample(ctx)
			}
		case s := <-p.samples:
			p.take(ctx, s)
		case keys, ok := <-p.keys:
			if !ok { // the terminal is gone
				return nil
			}
			for _, k := range keys {
				if p.act(ctx, p.model.press(k)) {
					return nil
				}
			}
		}
	}
	return nil
}

// act does what a key asks for, and reports whether that is to leave.
func (p *program) act(ctx context.Context, what action) (leaves bool) {
	switch what {
	case leave:
		return true
	case askAgain:
		p.sample(ctx)
	case kill:
		ctx, cancel := context.WithTimeout(ctx, admin.Timeout)
		defer cancel()
		killed, err := p.opt.Client.Kill(ctx, p.model.victims)
		if err != nil {
			p.model.message = "nothing is known to be killed: " + err.Error()
			break
		}
		p.model.message = fmt.Sprintf("%s ended", text.Count(killed.Ended, "conn or flow", "conns and flows"))
		p.sample(ctx)
	}
	return false
}

// sample asks on a goroutine of its own, which ends with the answer, so that keys are never late.
func (p *program) sample(ctx context.Context) {
	if p.asking {
		p.again = true
		return
	}
	p.asking = true
	client, scope := p.opt.Client, p.model.scope
	go func() { p.samples <- ask(ctx, client, scope) }()
}

// ask asks for the status and the flows.
func ask(ctx context.Context, client admin.Client, scope admin.FlowFilter) (s sample) {
	if s.Status, s.err = client.Status(ctx); s.err != nil {
		return s
	}
	list, err := client.FlowList(ctx, admin.FlowQuery{FlowFilter: scope, Sort: "bytes", Limit: mostFlows})
	if err != nil {
		s.err = err
		return s
	}
	s.flows, s.At = *list, time.Now()
	return s
}

// take makes a picture of an answer and the one before.
func (p *program) take(ctx context.Context, s sample) {
	p.asking = false
	if p.again {
		p.again = false
		p.sample(ctx)
	}
	if s.err != nil {
		p.model.failed = s.err.Error()
		return
	}
	p.model.failed = ""
	p.model.picture = newPicture(p.last, s)
	p.last = s
	p.shown++
}

// newPicture compares two samples. A flow that was not in the first one counts from its beginning.
func newPicture(before, now sample) picture {
	carried := text.FlowSample{At: before.At, Carried: map[string]text.Carried{}}
	for _, f := range before.flows.Flows {
		_ = carried.Add(f) // never fails
	}
	pic := picture{
		status: now.Status, now: now.Sample, total: now.flows.Total,
		routes: text.RateRoutes(before.Sample, now.Sample), origins: text.RateOrigins(before.Sample, now.Sample),
	}
	for _, f := range now.flows.Flows {
		pic.flows = append(pic.flows, carried.Rated(f, now.At))
	}
	return pic
}

// readKeys reads the terminal. It ends with the program, or when the terminal is gone: a read of a terminal
// cannot be cancelled, so it may outlive Run.
func (p *program) readKeys(ctx context.Context) {
	defer close(p.keys)
	buffer := make([]byte, 256)
	for {
		n, err := p.opt.In.Read(buffer)
		if err != nil {
			return
		}
		select {
		case p.keys <- parseKeys(string(buffer[:n])):
		case <-ctx.Done():
			return
		}
	}
}
