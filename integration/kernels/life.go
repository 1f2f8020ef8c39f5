package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"anyport/integration/lab"
)

// life is one anyport, from start to stop, on a host of its own.
type life struct {
	identity
	host   *lab.Host // nil before settle
	dir    string    // of its file and its admin socket
	binary string

	serving bool // start has succeeded: the later steps can be tried

	mu   sync.Mutex
	said bytes.Buffer // by the process, and by those that took its place
}

// Write stores what the process prints.
func (l *life) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(b)
}

// text is all that was printed so far. The process writes meanwhile.
func (l *life) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}

// steps are what a life goes through, in this order.
func (who identity) steps() []step {
	l := &life{identity: who}
	var all []step
	for _, station := range []struct {
		name string
		try  func(context.Context) error
	}{{"doctor", l.doctor}, {"start", l.start}, {"explain", l.served(l.explain)}, {"reload", l.served(l.reload)}, {"upgrade", l.served(l.upgrade)}, {"stop", l.served(l.stop)}} {
		all = append(all, step{station.name, who.name, 2 * time.Minute, func(ctx context.Context) error {
			err := l.settle()
			if err == nil {
				err = station.try(ctx)
			}
			if err != nil {
				fmt.Printf("%v\n%s", err, l.text())
			}
			return err
		}})
	}
	return all
}

// served is try, if the host can be tried.
func (l *life) served(try func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if !l.serving {
			return errors.New("it does not serve")
		}
		return try(ctx)
	}
}

// settle makes the host and the file, once.
func (l *life) settle() (err error) {
	if l.host != nil {
		return nil
	}
	if l.binary, err = filepath.Abs(built("cmd/anyport")); err != nil {
		return err
	}
	if l.host, err = lab.NewHost("edge"); err != nil {
		return err
	}
	if l.dir, err = os.MkdirTemp("/run", "anyport-"); err != nil {
		return err
	}
	return errors.Join(os.Chmod(l.dir, 0o755), os.Chown(l.dir, 65534, 65534), l.write("192.0.2.0/25"))
}

// doctor must find no failure before anything is started.
func (l *life) doctor(ctx context.Context) error {
	_, err := l.command(ctx, l.prefix, "doctor", "-c", l.file())
	return err
}

// file is the path of the config.
func (l *life) file() string { return filepath.Join(l.dir, "anyport.toml") }

// write writes the file. Its drop action and its rate limit need further kernel features.
func (l *life) write(prefix string) error {
	text := fmt.Sprintf("[admin]\nsocket = %q\n[steering]\n%s", filepath.Join(l.dir, "admin.sock"), l.toml) + fmt.Sprintf(`
[route.web]
protocol = ["tcp", "udp"]
prefixes = [%q, "2001:db8:1::/48"]
origins  = ["127.0.0.1:4000"]
deny     = ["203.0.113.0/24"]
new_conns_per_second = 1000
datagrams_per_second = 1000

[route.silent]
protocol = "tcp"
prefixes = ["192.0.2.200"]
action   = "drop"
`, prefix)
	return os.WriteFile(l.file(), []byte(text), 0o644)
}

// command runs an anyport command to its end, behind a prefix such as an identity's.
func (l *life) command(ctx context.Context, prefix []string, args ...string) (string, error) {
	args = slices.Concat(prefix, []string{l.binary}, args)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := l.host.Do(cmd.Run)
	l.Write(out.Bytes())
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, failure(out.String()))
	}
	return out.String(), nil
}

// start returns when the log says that it serves.
func (l *life) start(ctx context.Context) error {
	args := slices.Concat(l.prefix, []string{l.binary, "run", "-c", l.file()})
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = l, l
	if err := l.host.Start(cmd); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // until the process and those that took its place have ended
	for !strings.Contains(l.text(), "msg=serving") {
		select {
		case err := <-ended:
			return fmt.Errorf("it has ended: %v: %s", err, failure(l.text()))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	l.serving = true
	return nil
}

// explain asks the running process, which asks the program in the kernel.
func (l *life) explain(ctx context.Context) error {
	out, err := l.command(ctx, nil, "explain", "-c", l.file(), "tcp", "192.0.2.7:80")
	return expect(out, err, "verdict: steer")
}

// reload exchanges one prefix for another.
func (l *life) reload(ctx context.Context) error {
	if err := l.write("198.51.100.0/24"); err != nil {
		return err
	}
	out, err := l.command(ctx, nil, "reload", "-c", l.file())
	return expect(out, err, "+ 198.51.100.0/24")
}

// upgrade hands over to another process of the same binary.
func (l *life) upgrade(ctx context.Context) error {
	out, err := l.command(ctx, nil, "upgrade", "-c", l.file(), "--binary", l.binary)
	return expect(out, err, "serves as pid")
}

// expect wants a text in the output of a command that has succeeded.
func expect(out string, err error, want string) error {
	if err == nil && !strings.Contains(out, want) {
		err = fmt.Errorf("no %q in %q", want, out)
	}
	return err
}

// stop ends the process that serves now.
func (l *life) stop(ctx context.Context) error {
	defer l.host.Close()
	out, err := l.command(ctx, nil, "status", "-c", l.file(), "--json")
	if err != nil {
		return err
	}
	var status struct{ PID int }
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return err
	}
	if err := syscall.Kill(status.PID, syscall.SIGTERM); err != nil {
		return err
	}
	for syscall.Kill(status.PID, 0) == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("pid %d does not end", status.PID)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
