package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/access"
	"anyport/cmd/anyport/internal/fleet/etcd"
	"anyport/cmd/anyport/internal/fleet/fleettest"
)

// patience is for a machine that does much else.
const patience = time.Minute

// open opens the store of a server.
func open(t *testing.T, source string, a access.Access) *etcd.Store {
	t.Helper()
	s, err := etcd.Open(source, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestStore: the store with a real etcd does what that in memory does.
func TestStore(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	fleettest.Conform(t, open(t, server.url(), access.Access{}))
}

// TestUser: with a user and password, and without the rights for a key.
func TestUser(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	server.ctl("user", "add", "root:secret")
	server.ctl("user", "grant-role", "root", "root")
	server.ctl("user", "add", "edge:pass")
	server.ctl("role", "add", "edge")
	server.ctl("role", "grant-permission", "edge", "--prefix=true", "readwrite", "/test/fleet/")
	server.ctl("user", "grant-role", "edge", "edge")
	server.ctl("auth", "enable")
	if _, err := open(t, server.url(), access.Access{User: "edge", Password: "pass"}).State(t.Context()); err != nil {
		t.Errorf("with the right password: %v", err)
	}
	if _, err := etcd.Open(server.url(), access.Access{User: "edge", Password: "wrong"}); err == nil || !strings.Contains(err.Error(), "source_credentials") {
		t.Errorf("with a wrong password: %v", err)
	}
	if _, err := open(t, server.url(), access.Access{}).State(t.Context()); err == nil || !strings.Contains(err.Error(), "source_credentials") {
		t.Errorf("without one: %v", err)
	}
	other := strings.Replace(server.url(), "/test/fleet", "/other", 1)
	if _, err := open(t, other, access.Access{User: "edge", Password: "pass"}).State(t.Context()); err == nil || !strings.Contains(err.Error(), "the roles of that user") {
		t.Errorf("below another prefix: %v", err)
	}
}

// TestCompaction: a watch whose revision was compacted away while it had no contact sees the state all the same.
func TestCompaction(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	s := open(t, server.url(), access.Access{})
	push, err := s.BeginPush(t.Context(), fleet.Push{})
	if err != nil {
		t.Fatal(err)
	}
	seen := watch(t, s)
	pointer := fleet.Pointer{}
	for n := range 20 {
		if pointer, err = push.Swap(t.Context(), pointer, fleet.Pointer{Table: fleet.HashOf([]byte(fmt.Sprint(n)))}); err != nil {
			t.Fatal(err)
		}
		if n == 10 {
			server.kill()
			server.start()
		}
		server.ctl("compact", fmt.Sprint(pointer.Revision))
	}
	await(t, seen, func(s fleet.State) bool { return s.Pointer.Serial == 20 })
}

// watch watches until the end of the test, and begins again as a host does when the contact is lost.
func watch(t *testing.T, s *etcd.Store) <-chan fleet.State {
	seen := make(chan fleet.State, 1000)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); <-ended })
	go func() { // ends with the test
		defer close(ended)
		for ctx.Err() == nil {
			_ = s.Watch(ctx, func(s fleet.State) { seen <- s })
		}
	}()
	return seen
}

// await takes states until one is as it should be.
func await(t *testing.T, seen <-chan fleet.State, as func(fleet.State) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-seen:
			if as(s) {
				return
			}
		case <-deadline:
			t.Fatal("the state was not seen")
		}
	}
}

// TestServerAway: each call ends, with words, while no server is there, and works when it is back. A lease
// outlives a server that is away for less than its time.
func TestServerAway(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	s := open(t, "etcd://127.0.0.1:1,"+strings.TrimPrefix(server.url(), "etcd://"), access.Access{}) // the first is not there
	m, err := s.Join(t.Context(), "edge1")
	if err != nil {
		t.Fatal(err)
	}
	server.kill()
	began := time.Now()
	if _, err := s.State(t.Context()); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("while it is away: %v", err)
	}
	if waited := time.Since(began); waited > patience {
		t.Errorf("a call waited %v", waited)
	}
	select {
	case <-m.Lost():
	case <-time.After(patience):
		t.Error("a lease that nobody renews is not lost")
	}
	server.start()
	deadline := time.Now().Add(patience)
	for {
		if _, err = s.State(t.Context()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestNoSpace: an etcd whose quota is used up refuses reports with what to do, and is read all the same.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--quota-backend-bytes", fmt.Sprint(8<<20))
	s := open(t, server.url(), access.Access{})
	m, err := s.Join(t.Context(), "edge1")
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for ; err == nil && stored < 10; stored++ {
		var text strings.Builder // of three parts, which no other table has
		for part := range 3 {
			text.WriteString(strings.Repeat(string(rune('0'+3*stored+part)), fleet.PartSize))
		}
		_, err = s.PutTable(t.Context(), []byte(text.String()), "me")
	}
	stored-- // the last was not
	if err == nil || !strings.Contains(err.Error(), "etcdctl alarm disarm") {
		t.Errorf("a table that does not fit: %v", err)
	}
	if err := m.Report(t.Context(), fleet.Report{Host: "edge1"}); err == nil || !strings.Contains(err.Error(), "etcdctl alarm disarm") {
		t.Errorf("a report: %v", err)
	}
	if !errors.Is(err, fleet.ErrFull) || !strings.Contains(err.Error(), server.client) {
		t.Errorf("of a server that is full: %v", err)
	}
	if parts := strings.Count(server.ctl("get", "--prefix", "--keys-only", "/test/fleet/parts/"), "/parts/"); stored == 0 || parts != 3*stored {
		t.Errorf("%d tables are stored, with %d parts", stored, parts)
	}
	if _, err := s.State(t.Context()); err != nil {
		t.Errorf("the state cannot be read: %v", err)
	}
}

// lastPut is etcd's answer to the put that uses up its quota: no space, although it is applied.
type lastPut struct {
	clientv3.KV
	puts int // until that one
}

func (l *lastPut) Put(ctx context.Context, key, value string, o ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	r, err := l.KV.Put(ctx, key, value, o...)
	if l.puts--; l.puts == 0 {
		return nil, rpctypes.ErrNoSpace
	}
	return r, err
}

// TestNoSpaceAtLastPut: nothing is kept of a table that was refused, whichever put was too much.
func TestNoSpaceAtLastPut(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	text := []byte(strings.Repeat("a", fleet.PartSize) + strings.Repeat("b", fleet.PartSize))
	for puts := 1; puts <= 3; puts++ { // two parts and the manifest
		s := open(t, server.url(), access.Access{})
		s.Wrap(func(kv clientv3.KV) clientv3.KV { return &lastPut{kv, puts} })
		if _, err := s.PutTable(t.Context(), text, "me"); !errors.Is(err, fleet.ErrFull) {
			t.Errorf("no space at put %d: %v", puts, err)
		}
		if left := server.ctl("get", "--prefix", "--keys-only", "/test/fleet/"); strings.TrimSpace(left) != "" {
			t.Errorf("no space at put %d, and left is %s", puts, left)
		}
	}
}

// TestDamagedTable: what is stored under a hash is that table or none.
func TestDamagedTable(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	s := open(t, server.url(), access.Access{})
	table, err := s.PutTable(t.Context(), []byte("the text"), "me")
	if err != nil {
		t.Fatal(err)
	}
	server.ctl("put", "/test/fleet/parts/"+string(table), "another text")
	if _, err := s.Table(t.Context(), table); err == nil || !strings.Contains(err.Error(), "another hash") {
		t.Errorf("a part that was changed: %v", err)
	}
	server.ctl("del", "/test/fleet/parts/"+string(table))
	if _, err := s.Table(t.Context(), table); !errors.Is(err, fleet.ErrNoTable) {
		t.Errorf("a part that is missing: %v", err)
	}
	server.ctl("put", "/test/fleet/current", `{"table": "../../etc"}`)
	if _, err := s.State(t.Context()); err == nil || !strings.Contains(err.Error(), "not the hash of a table") {
		t.Errorf("a pointer to no hash: %v", err)
	}
}
