package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/filelimit"
	"anyport/cmd/anyport/internal/text"
	"anyport/config"
	"anyport/steering/program"
)

// checkFile reports each problem of the file. Without a file, host checks still run.
func checkFile(f *Facts) []Finding {
	var problems config.Problems
	switch {
	case errors.As(f.FileErr, &problems):
		return each(problems, func(p config.Problem) []Finding {
			return fail(edit(p), "a file is served whole or not at all", "%v", p)
		})
	case f.FileErr != nil:
		return fail("anyport doctor -c FILE", "it says what to serve", "%v", f.FileErr)
	case f.Config == nil:
		return ok("there is no %s: what a file asks for is not examined; name one with -c", f.Path)
	}
	return ok("%s: %s, %s", f.Path,
		text.Count(len(f.Config.Routes), "route", "routes"), text.Count(f.countPrefixes(), "prefix", "prefixes"))
}

// edit is the command that opens the file at the problem; a problem of the whole file has line 0.
func edit(p config.Problem) string {
	return fmt.Sprintf("${EDITOR:-vi} +%d %s", max(p.Line, 1), p.File)
}

// checkProcess says whether an anyport runs already: many findings then compare with it.
func checkProcess(f *Facts) []Finding {
	if f.Running == nil {
		return ok("no anyport answers on the admin socket")
	}
	return ok("anyport %s is running here, pid %d", f.Running.Version, f.Running.PID)
}

// checkKernel judges the features that program.Probe has tried. A feature that could not be tried for
// lack of privileges is not missing.
func checkKernel(f *Facts) []Finding {
	var found, untried []string
	var findings []Finding
	for _, feature := range f.Features {
		switch {
		case feature.Err == nil:
			found = append(found, feature.Name)
		case errors.Is(feature.Err, fs.ErrPermission) && len(program.MissingCapabilities(f.Capabilities)) > 0:
			untried = append(untried, feature.Name)
		default:
			findings = append(findings, f.missingFeature(feature)...)
		}
	}
	if len(untried) > 0 {
		findings = append(findings, warn(f.asRoot(), "only trying shows whether the kernel has them",
			"Linux %s, not tried for lack of privileges: %s", f.Kernel, strings.Join(untried, ", "))...)
	}
	return orOK(findings, "Linux %s, tried and found: %s", f.Kernel, strings.Join(found, ", "))
}

// missingFeature says what to do about a feature that was tried and failed.
func (f *Facts) missingFeature(feature program.Feature) []Finding {
	const why = "the kernel cannot steer without"
	switch {
	case feature.For != "":
		return warn(fmt.Sprintf("boot Linux %s or newer", feature.Since), feature.For+"; all else works",
			"Linux %s does not have %s: %v", f.Kernel, feature.Name, feature.Err)
	case errors.Is(feature.Err, program.ErrVerifier):
		return fail("run it as root or with CAP_PERFMON (AmbientCapabilities=, CapabilityBoundingSet= in the systemd unit), or boot another kernel; and report it with the output of: uname -r",
			why, "the verifier of Linux %s refuses it: %v", f.Kernel, feature.Err)
	case errors.Is(feature.Err, program.ErrMemlock):
		return fail("ulimit -l unlimited   # or LimitMEMLOCK=infinity in the systemd unit", why, "Linux %s: %v", f.Kernel, feature.Err)
	case errors.Is(feature.Err, errors.ErrUnsupported):
		return fail(fmt.Sprintf("boot Linux %s or newer, built with CONFIG_BPF_SYSCALL", feature.Since), why,
			"Linux %s does not have %s", f.Kernel, feature.Name)
	case errors.Is(feature.Err, fs.ErrPermission):
		return fail("run it outside of the container, or permit bpf(2) in its seccomp profile", why,
			"bpf(2) is forbidden here, whatever the capabilities: %s: %v", feature.Name, feature.Err)
	}
	return fail("boot a newer Linux", why, "Linux %s refuses %s: %v", f.Kernel, feature.Name, feature.Err)
}

// checkPrograms finds sk_lookup programs of others: a socket that one of them chooses wins over ours.
func checkPrograms(f *Facts) []Finding {
	findings := each(f.Programs, func(p program.Attached) []Finding {
		return warn(fmt.Sprintf("bpftool prog show id %d", p.ID),
			"a socket that it chooses wins over ours, and over what we refuse",
			"sk_lookup program %d (%s) is attached to this network namespace too", p.ID, known(p.Name))
	})
	return orOK(findings, "no other sk_lookup program is attached to this network namespace")
}

// checkFiles computes what `anyport run` can raise its limit to, as filelimit.Raise does it: up to the hard limit,
// and above that with CAP_SYS_RESOURCE, up to fs.nr_open.
func checkFiles(f *Facts) []Finding {
	files := min(f.Files.Hard, filelimit.Most)
	if f.holds(unix.CAP_SYS_RESOURCE) && f.Files.Most >= filelimit.Most {
		files = filelimit.Most
	}
	conns, flows := filelimit.Capacity(files)
	if files >= filelimit.Few {
		return ok("%d open files: room for %d conns, or %d flows", files, conns, flows)
	}
	mend := fmt.Sprintf("ulimit -n %d   # or LimitNOFILE=%[1]d in the systemd unit", filelimit.Most)
	if f.Files.Most < filelimit.Most {
		mend = fmt.Sprintf("sysctl -w fs.nr_open=%d\n%s", filelimit.Most, mend)
	}
	return warn(mend, "a TCP conn takes two, a UDP flow one; at the limit new ones wait or are refused",
		"%d open files: room for %d conns, or %d flows", files, conns, flows)
}

// known replaces a name that could not be read: that takes privileges.
func known(text string) string { return cmp.Or(text, "name unknown") }
