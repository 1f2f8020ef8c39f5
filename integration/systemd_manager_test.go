package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// manager plays systemd's part for a service: it receives the service's state, and keeps
// its file descriptors.
type manager struct {
	*journal
	conn *net.UnixConn
	path string

	mu   sync.Mutex
	kept map[string]*os.File
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{journal: newJournal(), conn: conn, path: path, kept: map[string]*os.File{}}
	heard := make(chan struct{})
	go func() { // ended by the end of the socket
		defer close(heard)
		for m.hear() == nil {
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-heard
		for _, file := range m.kept {
			file.Close()
		}
	})
	return m
}

// hear receives one message: its text goes to the journal as one line, its file
// descriptors go into the store.
func (m *manager) hear() error {
	text, rights := make([]byte, 4096), make([]byte, 256)
	n, controls, _, _, err := m.conn.ReadMsgUnix(text, rights)
	if err != nil {
		return err
	}
	message := strings.Split(string(text[:n]), "\n")
	fmt.Fprintln(m.journal, strings.Join(message, " "))
	return m.keep(message, rights[:controls])
}

func (m *manager) keep(message []string, rights []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := ""
	for _, line := range message {
		if value, ok := strings.CutPrefix(line, "FDNAME="); ok {
			name = value
		}
	}
	switch {
	case slices.Contains(message, "FDSTOREREMOVE=1"):
		if file := m.kept[name]; file != nil {
			delete(m.kept, name)
			return file.Close()
		}
	case slices.Contains(message, "FDSTORE=1"):
		fd, err := received(rights)
		if err != nil {
			return err
		}
		if m.kept[name] != nil {
			return errors.Join(fmt.Errorf("%s is stored twice", name), unix.Close(fd))
		}
		m.kept[name] = os.NewFile(uintptr(fd), name)
	}
	return nil
}

func received(rights []byte) (fd int, err error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return -1, errors.Join(err, fmt.Errorf("%d control messages", len(messages)))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.Join(err, fmt.Errorf("%d file descriptors", len(fds)))
	}
	return fds[0], nil
}

// keeps reports whether all these are in the store.
func (m *manager) keeps(names ...string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(names, func(name string) bool { return m.kept[name] == nil })
}

// run is `anyport run` as the manager starts it: with everything that is in the store.
func (m *manager) run(file string) *exec.Cmd {
	m.mu.Lock()
	defer m.mu.Unlock()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" run -c "$1"`, program, file)
	var names []string
	for name, file := range m.kept {
		names, cmd.ExtraFiles = append(names, name), append(cmd.ExtraFiles, file)
	}
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.path,
		fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	return cmd
}
