package doctor

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering/program"
	"anyport/steering/table"
)

func noFile(f *Facts) { f.Config = nil }

func files(hard, most uint64) func(*Facts) {
	return func(f *Facts) { f.Files = Files{hard, most} }
}

func featureErr(err error) func(*Facts) {
	return func(f *Facts) { f.Features[1].Err = err }
}

func TestFile(t *testing.T) {
	run(t, "file", []example{
		{"a broken file",
			all(noFile, func(f *Facts) { f.FileErr = problem }),
			[]Status{Failure}, `route "game": prefixes[0]: covers the gateway`, "${EDITOR:-vi} +5 " + file},
		{"a file that was named and is not there",
			all(noFile, func(f *Facts) { f.FileErr = os.ErrNotExist }),
			[]Status{Failure}, "not exist", "anyport doctor -c FILE"},
		{"no file",
			noFile,
			[]Status{OK}, "there is no " + file, ""},
	})
}

// TestCountPrefixes: doctor has the number of check, which is that of the compiled table.
func TestCountPrefixes(t *testing.T) {
	c, err := config.Parse("a.toml", []byte("[route.a]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.0/24\", \"192.0.2.7\"]\norigins = [\"10.0.0.5\"]\negress_prefixes = [\"198.51.100.0/24\"]\n"+
		"[route.b]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := table.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Config: c}
	if got, want := f.countPrefixes(), compiled.Prefixes(); got != want || want != 3 {
		t.Errorf("%d prefixes, check has %d", got, want)
	}
}

func TestProcess(t *testing.T) {
	run(t, "process", []example{
		{"one running",
			func(f *Facts) { f.Running = &admin.Status{Version: "v1", PID: 12} },
			[]Status{OK}, "anyport v1 is running here, pid 12", ""},
	})
}

func TestKernel(t *testing.T) {
	run(t, "kernel", []example{
		{"an old kernel",
			featureErr(fmt.Errorf("%w: old", errors.ErrUnsupported)),
			[]Status{Failure}, "Linux 6.1.0 does not have sk_lookup programs", "boot Linux 5.9 or newer, built with CONFIG_BPF_SYSCALL"},
		{"a verifier of another mind",
			featureErr(errors.New("too complex")),
			[]Status{Failure}, "refuses sk_lookup programs: too complex", "boot a newer Linux"},
		{"a verifier that says why",
			featureErr(fmt.Errorf("%w: %w: corrupt stack", program.ErrVerifier, unix.EACCES)),
			[]Status{Failure}, "the verifier of Linux 6.1.0 refuses it", "run it as root or with CAP_PERFMON (AmbientCapabilities=, CapabilityBoundingSet= in the systemd unit), or boot another kernel; and report it with the output of: uname -r"},
		{"a limit on locked memory",
			featureErr(fmt.Errorf("%w: %w", program.ErrMemlock, unix.EPERM)),
			[]Status{Failure}, "Linux 6.1.0: RLIMIT_MEMLOCK is too low", "ulimit -l unlimited   # or LimitMEMLOCK=infinity in the systemd unit"},
		{"no test runs",
			all(featureErr(errors.ErrUnsupported), func(f *Facts) { f.Features[1].For = "explain is mute" }),
			[]Status{Warning}, "Linux 6.1.0 does not have sk_lookup programs", "boot Linux 5.9 or newer"},
		{"a seccomp filter",
			featureErr(unix.EPERM),
			[]Status{Failure}, "bpf(2) is forbidden here", "run it outside of the container, or permit bpf(2) in its seccomp profile"},
		{"not tried",
			all(featureErr(unix.EPERM), lacks(unix.CAP_BPF)),
			[]Status{Warning}, "not tried for lack of privileges: sk_lookup programs", "sudo /usr/bin/anyport doctor"},
	})
}

func TestPrograms(t *testing.T) {
	run(t, "programs", []example{
		{"a foreign program",
			func(f *Facts) { f.Programs = []program.Attached{{ID: 9, Name: "tubular"}} },
			[]Status{Warning}, "program 9 (tubular)", "bpftool prog show id 9"},
		{"programs unread",
			func(f *Facts) { f.Unread["programs"] = unix.EPERM },
			[]Status{Warning}, "not examined: operation not permitted", "sudo /usr/bin/anyport doctor"},
		{"programs unread, another file",
			func(f *Facts) { f.Unread["programs"], f.Path = unix.EPERM, "b.toml" },
			[]Status{Warning}, "not examined: operation not permitted", "sudo /usr/bin/anyport doctor -c b.toml"},
	})
}

func TestFiles(t *testing.T) {
	run(t, "nofile", []example{
		{"few files",
			files(1024, 1<<20),
			[]Status{Warning}, "1024 open files: room for 382 conns, or 712 flows", "ulimit -n 1048576   # or LimitNOFILE=1048576 in the systemd unit"},
		{"few files, raised by root",
			all(files(1024, 1<<20), has(unix.CAP_SYS_RESOURCE)),
			[]Status{OK}, "1048576 open files", ""},
		{"few files, raised by nobody",
			all(files(1024, 4096), has(unix.CAP_SYS_RESOURCE)),
			[]Status{Warning}, "1024 open files", "sysctl -w fs.nr_open=1048576\nulimit -n 1048576   # or LimitNOFILE=1048576 in the systemd unit"},
	})
}

// TestManyProblems: a file of many problems shows the first ones, and says how many more there are.
func TestManyProblems(t *testing.T) {
	f := healthy()
	noFile(f)
	var problems config.Problems
	for line := range most + 1 {
		problems = append(problems, config.Problem{File: file, Line: line, Key: "ports", Text: "is wrong"})
	}
	f.FileErr = fmt.Errorf("load: %w", problems)
	found := of(Examine(f), "file")
	if len(found) != most || !strings.HasSuffix(found[most-1].What, " (and 1 more like it)") {
		t.Errorf("%+v", found)
	}
	if found[0].Mend != "${EDITOR:-vi} +1 "+file || found[1].Mend != "${EDITOR:-vi} +1 "+file || found[2].Mend != "${EDITOR:-vi} +2 "+file {
		t.Errorf("a problem without a line is opened at %q, then %q, %q", found[0].Mend, found[1].Mend, found[2].Mend)
	}
}
