package shadow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/api"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/socket"
	"anyport/cmd/anyport/internal/systemd"
	"anyport/config"
	"anyport/proxy/logfile"
	"anyport/steering/capabilities"
	"anyport/steering/host"
	"anyport/steering/services"
	"anyport/steering/table"
)

// Options say what to rehearse.
type Options struct {
	Config   *config.Config
	Version  string
	Log      io.Writer                 // where the log goes
	Report   func(*admin.Status) error // called once at the end
	Signals  <-chan os.Signal          // SIGHUP reloads, another stops
	Manager  systemd.Notifier          // hears what happens
	Watchdog time.Duration             // it kills this process if it hears nothing for this long; 0: never
	Drop     bool                      // give up the privileges, irrevocably
}

// The intervals: of the ticks that judge what has waited long enough, and of the summaries in the log.
const (
	tickInterval = 250 * time.Millisecond
	logInterval  = time.Minute
)

// shadow is a running rehearsal. mu guards what the reader, the ticks and the admin socket share.
type shadow struct {
	opt     Options
	log     *slog.Logger
	lines   *logfile.Queue
	capture *capture
	begun   time.Time

	mu       sync.Mutex
	config   *config.Config
	table    *table.Table
	number   int // of the config, 1 is the first
	since    time.Time
	refused  string // why the last reload was
	counts   *counts
	follower *follower
	lost     uint64
}

// Run counts until ctx is done or a signal says to stop, and reports then.
func Run(ctx context.Context, opt Options) (err error) {
	s := &shadow{opt: opt, begun: time.Now()}
	s.openLog()
	defer s.lines.Close(time.Second)
	if err := s.use(opt.Config); err != nil {
		return err
	}
	if s.capture, err = openCapture(s.wantsUDP()); err != nil {
		return err
	}
	defer s.capture.close()
	return s.serve(ctx)
}

func (s *shadow) openLog() {
	format, level := s.opt.Config.Log.Format, &slog.HandlerOptions{Level: s.opt.Config.Log.Level}
	handler := func(w io.Writer) *slog.Logger {
		w = logfile.Printable(w)
		if format == "json" {
			return slog.New(slog.NewJSONHandler(w, level))
		}
		return slog.New(slog.NewTextHandler(w, level))
	}
	s.lines = logfile.NewQueue(s.opt.Log, func(lost uint64) []byte {
		var line strings.Builder
		handler(&line).Warn("lines of this log were lost: nobody read it, or its disk was full", "lost_lines", lost)
		return []byte(line.String())
	})
	s.log = handler(s.lines)
}

// use puts a config into service, with counts that begin at zero.
func (s *shadow) use(c *config.Config) error {
	compiled, err := table.Compile(c)
	if err != nil {
		return err
	}
	s.warnOfHost(c, compiled)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config, s.table, s.since = c, compiled, time.Now()
	s.number++
	s.counts = newCounts(c.Routes)
	s.follower = newFollower(s.counts)
	s.lost = 0
	return nil
}

// warnOfHost logs what keeps this host from serving the config: a rehearsal goes on.
func (s *shadow) warnOfHost(c *config.Config, compiled *table.Table) {
	found, serviceErr := services.Check(c)
	listeners, err := host.OtherListeners()
	if err == nil {
		_, err = host.Check(c, compiled, listeners, found.Owns)
	}
	err = errors.Join(serviceErr, err)
	if err != nil {
		for problem := range strings.Lines(err.Error()) {
			s.log.Warn("without --shadow this host would refuse the file", "problem", strings.TrimSpace(problem))
		}
	}
}

// wantsUDP reports whether datagrams are to be read.
func (s *shadow) wantsUDP() bool {
	for _, r := range s.config.Routes {
		for _, p := range r.Protocols {
			if p == config.UDP {
				return true
			}
		}
	}
	return false
}

// serve reads packets on another goroutine until an order to stop.
func (s *shadow) serve(ctx context.Context) error {
	runtime.LockOSThread() // tick reads the namespace, which is the thread's
	defer runtime.UnlockOSThread()
	failed := make(chan error, 2)
	stop, err := s.listen(failed)
	if err != nil {
		return err
	}
	defer stop()
	if s.opt.Drop {
		if err := privileges.Drop(capabilities.Of(unix.CAP_NET_ADMIN), nil); err != nil { // it asks for sockets of other users
			return fmt.Errorf("drop privileges: %w", err)
		}
	}
	read := make(chan struct{})
	go func() { // ended by the end of the capture
		defer close(read)
		if err := s.read(); err != nil {
			failed <- err
		}
	}()
	s.log.Info("shadow: nothing is steered, and no route is added", "config", s.config.Path, "version", s.opt.Version, "pid", os.Getpid(),
		"routes", len(s.config.Routes), "prefixes", s.table.Prefixes(), "admin", s.config.Admin.Socket)
	if err := s.opt.Manager.Ready("rehearsing: steers nothing"); err != nil {
		s.log.Warn("cannot notify the service manager", "error", err)
	}
	err = s.control(ctx, failed)
	err = errors.Join(err, s.capture.close())
	<-read                           // what was read last is judged, too
	s.tick(time.Now().Add(patience)) // who still waits has no answer
	return errors.Join(err, s.opt.Report(s.status()))
}

// listen opens the admin socket, unless the file has none.
func (s *shadow) listen(failed chan<- error) (stop func(), err error) {
	path := s.config.Admin.Socket
	if path == "" {
		return func() {}, nil
	}
	listener, err := socket.Listen(path, nil, socket.NoGroup)
	if err != nil {
		return nil, err
	}
	plain := log.New(s.lines, "", 0)
	stopServing := api.New(service{s}, s.log, plain).ServeSocket(listener, api.NoGroup, failed)
	return func() {
		stopServing()
		_ = listener.Close() // fails if the server has closed it
	}, nil
}
