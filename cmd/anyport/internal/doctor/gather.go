package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/steering"
	"anyport/steering/capabilities"
	"anyport/steering/program"
)

// gatherers read the facts in this order: a later one may use what an earlier one has read. If one
// fails, its checks judge nothing.
var gatherers = []struct {
	read   func(context.Context, *Facts) error
	checks []string
}{
	{readRunning, nil}, // none answers: no fault
	{readProcess, []string{"privileges"}},
	{readLimits, []string{"nofile"}},
	{readDeath, []string{"bpffs", "killed"}},
	{readLeftovers, []string{"leftovers"}},
	{readPrograms, []string{"programs"}},
	{readSysctls, []string{"ipv6", "tcp_syncookies", "somaxconn", "conntrack"}},
	{readLinks, []string{"routes", "neighbours", "rp_filter", "transparent"}},
	{readReturns, []string{"transparent"}},
	{readLocal, []string{"routes"}},
	{readHost, []string{"routes", "neighbours", "listeners"}},
	{readServices, nil}, // checkServices judges the errors
	{readListeners, []string{"listeners"}},
	{readRules, []string{"tproxy", "tproxy_leftovers", "dnat"}},
	{readMarkRules, []string{"tproxy_leftovers"}},
	{readClock, []string{"clock"}},
	{readKeys, nil},  // checkKnock judges the error
	{askSource, nil}, // checkSource judges the error
	{readFastPath, []string{"fast_path"}},
	{readAnnounce, []string{"announce"}},
}

// readTimeout bounds how long the file may take to be read: it may be on a mount that hangs.
const readTimeout = 5 * time.Second

// Gather reads the facts about this host and the network namespace of the calling thread, for the file
// at path. A missing file is only a fault if somebody named it.
func Gather(ctx context.Context, path string, named bool) *Facts {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	f := &Facts{Unread: make(map[string]error), Path: path, Sysctls: make(map[string]string)}
	f.Config, f.FileErr = slowfs.Do(slowfs.New(readTimeout), "read "+path, func() (*config.Config, error) { return config.Load(path) })
	if errors.Is(f.FileErr, fs.ErrNotExist) && !named {
		f.FileErr = nil
	}
	f.Features = program.Probe()
	for _, g := range gatherers {
		if err := g.read(ctx, f); err != nil {
			for _, check := range g.checks {
				f.Unread[check] = errors.Join(f.Unread[check], err)
			}
		}
	}
	return f
}

// readRunning asks the anyport that the file names. That none answers is not a fault. It comes first: later
// facts leave out what belongs to that anyport, such as its own listeners.
func readRunning(ctx context.Context, f *Facts) (err error) {
	socket := config.DefaultAdminSocket
	if f.Config != nil {
		socket = f.Config.Admin.Socket
	}
	if socket != "" {
		f.Running, err = admin.Client{Socket: socket}.Status(ctx)
	}
	return err
}

// readProcess reads the kernel release, the path of this binary and the capabilities. A user namespace
// other than the initial one maps its users, so uid_map has other lines than the whole range.
func readProcess(_ context.Context, f *Facts) error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	f.Kernel = unix.ByteSliceToString(name.Release[:])
	f.Program = "anyport"
	if path, err := os.Executable(); err == nil {
		f.Program = path // without symbolic links: setcap follows none
	}
	held, err := capabilities.Read(0)
	if err != nil {
		return err
	}
	f.Capabilities = held.Effective
	users, err := os.ReadFile("/proc/self/uid_map")
	f.UserNamespace = err == nil && !slices.Equal(strings.Fields(string(users)), []string{"0", "0", "4294967295"})
	return nil
}

// readLimits reads the limits on open files, which CAP_SYS_RESOURCE can raise up to fs.nr_open.
func readLimits(_ context.Context, f *Facts) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read RLIMIT_NOFILE: %w", err)
	}
	most, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return err
	}
	f.Files.Hard = limit.Max
	f.Files.Most, err = strconv.ParseUint(strings.TrimSpace(string(most)), 10, 64)
	return err
}

// readDeath reads what happens if anyport is killed; without a file, for the defaults.
func readDeath(_ context.Context, f *Facts) (err error) {
	if !f.holds(unix.CAP_NET_ADMIN) {
		return errors.New("to find out what anyport could pin needs its privileges")
	}
	f.Death, err = steering.ForecastDeath(f.config())
	return err
}

// readLeftovers looks for routes and pins of processes that have ended.
func readLeftovers(_ context.Context, f *Facts) (err error) {
	if !f.holds(unix.CAP_NET_ADMIN) {
		return errors.New("to look for leftovers needs CAP_NET_ADMIN")
	}
	f.Leftovers, err = steering.Leftovers(f.config())
	return err
}

// readPrograms lists the sk_lookup programs of this namespace, without that of the running anyport.
func readPrograms(_ context.Context, f *Facts) (err error) {
	if !f.holds(unix.CAP_NET_ADMIN) {
		return errors.New("to list the sk_lookup programs needs CAP_NET_ADMIN")
	}
	f.Programs, err = program.AttachedPrograms()
	if f.Running != nil {
		f.Programs = slices.DeleteFunc(f.Programs, func(p program.Attached) bool { return p.ID == f.Running.Steering.ProgramID })
	}
	return err
}

// sysctls are the ones that checks look at, by path below /proc/sys.
var sysctls = []string{
	"net/core/somaxconn",
	"net/ipv4/ip_unprivileged_port_start",
	"net/ipv4/tcp_syncookies",
	"net/ipv6/conf/all/disable_ipv6",
	"net/ipv6/conf/lo/disable_ipv6",
	"net/netfilter/nf_conntrack_count",
	"net/netfilter/nf_conntrack_max",
}

// readSysctls leaves out a sysctl that the kernel does not have.
func readSysctls(_ context.Context, f *Facts) error {
	for _, name := range sysctls {
		value, err := sysctl(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		default:
			f.Sysctls[name] = value
		}
	}
	return nil
}

// sysctl reads a value; those below net/ are those of the calling thread's namespace: procfs looks at the thread
// that opens the file.
func sysctl(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join("/proc/sys", name))
	return strings.TrimSpace(string(text)), err
}
