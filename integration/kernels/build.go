package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// cache has the kernels and what is built for the guests.
const cache = "build/kernels"

// tested are the packages whose tests run in the guest: ofIngress those whose programs run at the ingress of
// devices, and ofProxy those that need no network namespace: of the proxy, what makes system calls.
var (
	tested    = slices.Concat([]string{"steering", "steering/host", "steering/program", "integration"}, ofIngress, ofProxy)
	ofIngress = []string{"steering/ingress", "steering/fastpath", "steering/fleet"}
	ofProxy   = []string{"proxy/call", "proxy/socket", "proxy/pipes", "proxy/tcp", "proxy/udp"}
)

// built is the path of the program that build makes from a package, relative to the
// repository.
func built(pkg string) string {
	if pkg == "cmd/anyport" {
		return filepath.Join(cache, "bin", "anyport")
	}
	return filepath.Join(cache, "bin", strings.ReplaceAll(pkg, "/", "-")+".test")
}

// build compiles the binary and the tests, so that the guest needs no compiler.
func build(short bool) error {
	if err := compile("build", "cmd/anyport"); err != nil || short {
		return err
	}
	for _, pkg := range tested {
		if err := compile("test", pkg); err != nil {
			return err
		}
	}
	return nil
}

// compile builds a package, or with how = "test" its tests. Without cgo the result runs on the libc of any guest.
func compile(how, pkg string) error {
	args := []string{how, "-o", built(pkg), "./" + pkg}
	if how == "test" {
		args = append([]string{how, "-c"}, args[1:]...)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s %s: %w\n%s", how, path.Base(pkg), err, out)
	}
	return nil
}

// fetch downloads the suite's kernel into dir, unless it is there.
func fetch(dir, suite string) (*kernel, error) {
	if out, err := exec.Command(".ci/kernel", suite, dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("fetch the kernel of %s: %w\n%s", suite, err, out)
	}
	release, err := os.ReadFile(filepath.Join(dir, "release"))
	if err != nil {
		return nil, err
	}
	return &kernel{dir: dir, release: strings.TrimSpace(string(release))}, nil
}
