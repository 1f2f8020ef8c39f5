package services

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCgroup2Of(t *testing.T) {
	for line, want := range map[string]string{
		"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw":        "/sys/fs/cgroup",
		"42 32 0:38 / /sys/fs/cgroup/unified rw shared:8 master:1 - cgroup2 none rw": "/sys/fs/cgroup/unified",
		"30 23 0:26 /a.slice /srv/cgroup rw - cgroup2 cgroup2 rw":                    "", // a part of the tree
		"31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu":                  "",
		"32 23 0:28 / /mnt/cgroup2 rw - tmpfs cgroup2 rw":                            "",
		"30 23 0:26 / - cgroup2 cgroup2 rw":                                          "",
		"":                                                                           "",
	} {
		if got := cgroup2Of(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestFindUnit(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{
		"system.slice/a.service", "system.slice/system-dns.slice/b.service", "dns.slice/dns-inner.slice/c.service",
		"user.slice/user-1000.slice/d.service", "docker/e.service",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for unit, want := range map[string]string{
		"a.service":       "system.slice/a.service",
		"b.service":       "system.slice/system-dns.slice/b.service",
		"c.service":       "dns.slice/dns-inner.slice/c.service",
		"dns-inner.slice": "dns.slice/dns-inner.slice",
		"d.service":       "", // of a user's manager
		"e.service":       "", // not of systemd
	} {
		if got := strings.TrimPrefix(findUnit(root, unit), root+"/"); got != want {
			t.Errorf("%s: %q, want %q", unit, got, want)
		}
	}
}

func TestProcessesOf(t *testing.T) {
	dir := t.TempDir()
	group, file, empty := filepath.Join(dir, "x.service"), filepath.Join(dir, "x.pid"), filepath.Join(dir, "empty.pid")
	if err := os.MkdirAll(filepath.Join(group, "worker"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(group, "cgroup.procs"): "7\n0\n", filepath.Join(group, "worker", "cgroup.procs"): "9\n",
		file: " 4711\n", empty: "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		service, cgroup string
		want            []int
		fails           bool
	}{
		{"x.service", group, []int{7, 9}, false},
		{"x.service", "", nil, false},
		{"pid:17", "", []int{17}, false},
		{"pidfile:" + file, "", []int{4711}, false},
		{"pidfile:" + filepath.Join(dir, "missing"), "", nil, false},
		{"pidfile:" + empty, "", nil, true},
	} {
		got, err := processesOf(test.service, test.cgroup)
		if !slices.Equal(got, test.want) || (err != nil) != test.fails {
			t.Errorf("%s: %v, %v", test.service, got, err)
		}
	}
}

// TestExisting: a directory that is not there is no error, and one that cannot be looked at is.
func TestExisting(t *testing.T) {
	dir := t.TempDir()
	if got, err := existing(dir); got != dir || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := existing(filepath.Join(dir, "missing")); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := existing(filepath.Join(dir, strings.Repeat("x", 300))); got != "" || err == nil {
		t.Errorf("%q, %v", got, err)
	}
}
