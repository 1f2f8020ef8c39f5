package services

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"anyport/config"
)

// mountOfCgroup2 is the directory where the unified hierarchy is mounted: /sys/fs/cgroup, or
// /sys/fs/cgroup/unified where systemd also mounts version 1.
func mountOfCgroup2() (string, error) {
	file, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if dir := cgroup2Of(lines.Text()); dir != "" {
			return dir, nil
		}
	}
	return "", errors.Join(lines.Err(), errNoCgroup2)
}

var errNoCgroup2 = errors.New("cgroup version 2 is not mounted: mount it with: mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd.unified_cgroup_hierarchy=1")

// cgroup2Of returns the directory of a line of mountinfo, proc_pid_mountinfo(5), if it is of cgroup2.
func cgroup2Of(line string) string {
	mount, kind, ok := strings.Cut(line, " - ")
	fields := strings.Fields(mount)
	if !ok || !strings.HasPrefix(kind, "cgroup2 ") || len(fields) < 5 || fields[3] != "/" {
		return ""
	}
	return fields[4]
}

// CheckCgroup2 says whether services can be found by their cgroup.
func CheckCgroup2() error {
	_, err := mountOfCgroup2()
	return err
}

// cgroupOf returns the directory of a service's cgroup: "" if it is not known by a cgroup, or does not exist now.
func cgroupOf(service string) (string, error) {
	if strings.HasPrefix(service, config.ServicePID) || strings.HasPrefix(service, config.ServicePIDFile) {
		return "", nil
	}
	root, err := mountOfCgroup2()
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(service, config.ServiceCgroup) {
		return existing(filepath.Join(root, service))
	}
	if dir, err := existing(filepath.Join(root, "system.slice", service)); dir != "" || err != nil {
		return dir, err
	}
	return findUnit(root, service), nil
}

// existing is dir if that is a directory, and "" if there is none. A directory that cannot be looked at is an error.
func existing(dir string) (string, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for the cgroup of a service: %w", err)
	}
	return dir, nil
}

// findUnit looks for the cgroup of a unit in the slices of the system's manager, where systemd.slice(5) nests them.
func findUnit(root, unit string) (dir string) {
	filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || !entry.IsDir() || path == root:
		case entry.Name() == unit:
			dir = path
			return filepath.SkipAll
		case !strings.HasSuffix(entry.Name(), ".slice") || entry.Name() == "user.slice":
			return filepath.SkipDir
		}
		return nil
	})
	return dir
}

// processesOf returns the processes of a service, none if it does not run. cgroup is its directory, if it has one.
func processesOf(service, cgroup string) (pids []int, err error) {
	if number, ok := strings.CutPrefix(service, config.ServicePID); ok {
		pid, err := strconv.Atoi(number)
		return []int{pid}, err
	}
	if path, ok := strings.CutPrefix(service, config.ServicePIDFile); ok {
		return readPIDFile(path)
	}
	if cgroup == "" {
		return nil, nil
	}
	err = filepath.WalkDir(cgroup, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			pids = append(pids, readPIDs(filepath.Join(path, "cgroup.procs"))...)
		}
		return nil // the cgroup may end meanwhile
	})
	return pids, err
}

// readPIDFile returns no process if the file does not exist.
func readPIDFile(path string) ([]int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s does not hold the number of a process", path)
	}
	return []int{pid}, nil
}

// readPIDs reads a list of processes. 0 stands for one of another pid namespace.
func readPIDs(path string) (pids []int) {
	text, _ := os.ReadFile(path)
	for field := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
