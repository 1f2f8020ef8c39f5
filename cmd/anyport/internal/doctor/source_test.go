package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/config"
)

// withSource is f on a host whose routes come from a source.
func withSource(f *Facts) {
	c := *f.Config
	c.Fleet.Source, c.Steering.User = "etcd://10.9.0.11:2379/edges", "anyport"
	f.Config = &c
}

func TestSource(t *testing.T) {
	run(t, "fleet_source", []example{
		{"the file's routes", func(*Facts) {}, []Status{OK}, "the routes are those of the file", ""},
		{"in order", withSource, []Status{OK}, "the source answers", ""},
		{"away", func(f *Facts) { withSource(f); f.SourceErr = errors.New("no answer within 5s") }, []Status{Warning},
			"the source etcd://10.9.0.11:2379/edges: no answer within 5s", "anyport doctor   # once the source answers"},
		{"unreadable", func(f *Facts) { withSource(f); f.SourceFiles = []string{"/etc/anyport/ca.pem", "/etc/anyport/user"} }, []Status{Failure},
			"anyport cannot read /etc/anyport/ca.pem /etc/anyport/user", "chown anyport /etc/anyport/ca.pem /etc/anyport/user"},
		{"two hosts with one name", func(f *Facts) { withSource(f); f.Namesake = "twin" }, []Status{Warning},
			"another host, twin, reports to the fleet under this one's name", "anyport fleet   # then write another host = in [fleet] of one of the two"},
		{"all of it", func(f *Facts) {
			withSource(f)
			f.SourceErr, f.SourceFiles, f.Namesake = errors.New("away"), []string{"/etc/x"}, "twin"
		}, []Status{Failure, Warning, Warning}, "anyport cannot read /etc/x", "chown anyport /etc/x"},
	})
}

// TestAskSource: the source is asked as a running anyport asks it, and a host without one asks nothing.
func TestAskSource(t *testing.T) {
	f := &Facts{}
	if err := askSource(t.Context(), f); err != nil || f.SourceErr != nil {
		t.Errorf("without a file: %v, %v", err, f.SourceErr)
	}
	f.Config = &config.Config{Fleet: config.Fleet{Source: "https://127.0.0.1:1/table", SourceCA: filepath.Join(t.TempDir(), "no.pem")}}
	if err := askSource(t.Context(), f); err != nil || !errors.Is(f.SourceErr, os.ErrNotExist) {
		t.Errorf("with a CA that is not there: %v, %v", err, f.SourceErr)
	}
	f.Config.Fleet.SourceCA = ""
	if err := askSource(t.Context(), f); err != nil || f.SourceErr == nil {
		t.Errorf("with a source that is not there: %v, %v", err, f.SourceErr)
	}
}

// TestMayRead: by owner, group and others, as the kernel does: the first that fits decides.
func TestMayRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	own := &privileges.Account{UID: os.Geteuid() + 1, GID: os.Getegid() + 1}
	for _, test := range []struct {
		mode    os.FileMode
		account privileges.Account
		want    bool
	}{
		{0o600, privileges.Account{UID: os.Geteuid(), GID: own.GID}, true},
		{0o077, privileges.Account{UID: os.Geteuid() + 1, GID: os.Getegid()}, true},
		{0o600, privileges.Account{UID: own.UID, GID: os.Getegid()}, false},
		{0o604, privileges.Account{UID: own.UID, GID: os.Getegid()}, false},
		{0o640, privileges.Account{UID: own.UID, GID: own.GID, Groups: []int{os.Getegid()}}, true},
		{0o640, *own, false},
		{0o604, *own, true},
		{0, privileges.Account{}, true}, // root
	} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := mayRead(info, &test.account); got != test.want {
			t.Errorf("mode %o, %+v: %v", test.mode, test.account, got)
		}
	}
}
