package report

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is where the samples were taken.
type Machine struct {
	CPU      string
	Cores    int
	Memory   float64 // bytes
	Kernel   string
	Go       string
	NoFile   uint64 // the hard limit on open files
	Load     string // loadavg
	Versions []string
}

// ThisMachine describes the machine that it runs on.
func ThisMachine() Machine {
	var name unix.Utsname
	unix.Uname(&name)
	var info unix.Sysinfo_t
	unix.Sysinfo(&info)
	var files unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	return Machine{
		CPU: cpuModel(), Cores: runtime.NumCPU(), Memory: float64(info.Totalram) * float64(info.Unit),
		Kernel: unix.ByteSliceToString(name.Release[:]), Go: runtime.Version(), NoFile: files.Max, Load: loadAverage(),
		Versions: versions(),
	}
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// versions are those of the programs that take part.
func versions() (all []string) {
	for _, command := range [][]string{{"haproxy", "-v"}, {"nginx", "-v"}, {"iptables", "--version"}} {
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err == nil {
			line, _, _ := strings.Cut(string(out), "\n")
			line, _, _ = strings.Cut(line, " - ")
			all = append(all, line)
		}
	}
	return all
}

// circumstances are what to know beside the figures.
func (s Samples) circumstances() []string {
	var foreign, stolen, wrong []float64
	for _, sample := range s.All {
		all := sample.Result.Seconds * float64(s.Machine.Cores)
		if all > 0 && sample.Result.RigCPU > 0 {
			foreign = append(foreign, 100*sample.Result.Foreign/all)
			stolen = append(stolen, 100*sample.Result.Stolen/all)
		}
		wrong = append(wrong, sample.Result.Wrong)
	}
	f, t := summarise(foreign), summarise(stolen)
	lines := []string{
		fmt.Sprintf("%d runs, interleaved, %s s each after a warm-up; figures are medians (least … most).", s.Runs, Number(s.Seconds)),
		fmt.Sprintf("%s, %d cores, %s GiB, Linux %s, %s; %s.", s.Machine.CPU, s.Machine.Cores,
			Number(s.Machine.Memory/(1<<30)), s.Machine.Kernel, s.Machine.Go, strings.Join(s.Machine.Versions, "; ")),
		fmt.Sprintf("nofile: %s. Taken %s, in %v.", Number(float64(s.Machine.NoFile)), s.Start.UTC().Format(time.DateTime+" UTC"), s.End.Sub(s.Start).Round(time.Second)),
		fmt.Sprintf("Other programs took %s %% of the CPU time (median; at most %s %%), the hypervisor %s %% (at most %s %%); load average %s before, %s after.",
			Number(f.Median), Number(f.Max), Number(t.Median), Number(t.Max), s.Machine.Load, s.LoadAfter),
		fmt.Sprintf("UDP answers from another address or port than was asked: %s.", Number(sum(wrong))),
	}
	if len(s.Skipped) > 0 {
		lines = append(lines, "Left out: "+strings.Join(s.Skipped, ", ")+".")
	}
	if len(s.Failures) > 0 {
		lines = append(lines, "Samples that failed: "+strings.Join(s.Failures, "; ")+".")
	}
	return lines
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}
