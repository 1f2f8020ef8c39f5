package sysdump

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/doctor"
	"anyport/config/secrets"
	"anyport/steering/dump"
)

// addVersions adds what this binary and this host are.
func (g *gatherer) addVersions(context.Context) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "this binary: %s\n", strings.TrimSpace(g.Version))
	if g.process != nil {
		fmt.Fprintf(&out, "the running process: %s, pid %d\n", g.process.Status.Version, g.process.Status.PID)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		fmt.Fprintf(&out, "kernel: %s %s %s\n", unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Version[:]), unix.ByteSliceToString(name.Machine[:]))
	}
	fmt.Fprintf(&out, "cores: %d\n", runtime.NumCPU())
	if release, err := os.ReadFile("/etc/os-release"); err == nil {
		fmt.Fprintf(&out, "\n/etc/os-release:\n%s", release)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		fmt.Fprintf(&out, "\nbuild:\n%s", info)
	}
	g.add("versions.txt", "this binary, its build, the kernel and the distribution", out.Bytes())
}

// addDoctor adds the report of anyport doctor, for people and for programs.
func (g *gatherer) addDoctor(ctx context.Context) {
	report, err := secrets.Masked(g.mask, doctor.Examine(doctor.Gather(ctx, g.Path, g.Named))) // lines are wrapped below
	var out bytes.Buffer
	if err = errors.Join(err, report.Write(&out)); err != nil {
		g.missing("doctor", err)
		return
	}
	fmt.Fprintln(&out, report.Summary())
	g.add("doctor.txt", "what anyport doctor says about this host", out.Bytes())
	g.addJSON("doctor.json", "the same as JSON", report)
}

// addKernel adds the sk_lookup programs of this network namespace and their maps, which may outlive a process.
func (g *gatherer) addKernel(context.Context) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()
	programs, err := dump.Programs()
	if err != nil {
		g.missing("the kernel's sk_lookup programs", err)
		return
	}
	g.addJSON("kernel/programs.json", "the sk_lookup programs of this network namespace, in the order in which they run", programs)
	for _, p := range programs {
		if p.Error != "" {
			g.missing(fmt.Sprintf("parts of program %d", p.ID), fmt.Errorf("%s", p.Error))
		}
		for _, m := range p.Maps {
			about := fmt.Sprintf("map %s of program %d", m.Name, p.ID)
			switch {
			case m.Withheld != "":
				about += ": withheld, " + m.Withheld
			case m.Truncated:
				about += fmt.Sprintf(": the first %d entries, there are more", len(m.Entries))
			}
			g.addJSON(fmt.Sprintf("kernel/%d-%s.json", p.ID, m.Name), about, m)
		}
	}
}

// networkFiles are counters of the kernel that say where packets were lost.
var networkFiles = map[string]string{
	"sockstat": "sockets in use", "sockstat6": "sockets in use, IPv6", "snmp": "counters of IP, TCP and UDP", "snmp6": "counters of IPv6",
	"netstat": "more counters of TCP and IP", "softnet_stat": "packets that each core has received and lost", "dev": "counters of the network devices",
}

// addNetwork adds them, of the network namespace of the process.
func (g *gatherer) addNetwork(context.Context) {
	for _, name := range slices.Sorted(maps.Keys(networkFiles)) {
		path := filepath.Join("/proc/thread-self/net", name)
		if g.process != nil {
			path = fmt.Sprintf("/proc/%d/net/%s", g.process.Status.PID, name)
		}
		g.addProc("kernel/net-"+name+".txt", networkFiles[name], path)
	}
}

// addProc adds a file of /proc; one that this kernel does not have is no loss.
func (g *gatherer) addProc(name, about, path string) {
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		g.add(name, about+" ("+path+")", text)
	case !isMissing(path):
		g.missing(path, err)
	}
}

// addJSON adds a value.
func (g *gatherer) addJSON(name, about string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		g.missing(name, err)
		return
	}
	g.add(name, about, text)
}
