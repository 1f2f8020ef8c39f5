package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
)

// suites are Debian's releases whose kernels are tried, the newest last.
var suites = []string{"bullseye", "bookworm", "trixie", "trixie-backports"}

func main() {
	short := flag.Bool("short", false, "start, reload and upgrade alone")
	only := flag.String("run", "", "take the steps whose names match the `regexp`, such as \"demo|steering\"")
	ports := flag.String("ports", "1-4096", "the demo sweeps these ports, `A-B`")
	guest := flag.String("guest", "", "run the steps: this is the guest, and the repository's `directory`")
	flag.Parse()
	which, err := regexp.Compile(*only)
	switch {
	case err != nil:
	case *guest != "":
		err = inGuest(*guest, *short, *ports, which)
	case os.Geteuid() != 0:
		fmt.Println("not root: no kernel is booted")
	default:
		runtime.LockOSThread()
		err = run(flag.Args(), *short, *ports, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

// run boots each suite's kernel, one after the other, and fails if a step failed.
func run(names []string, short bool, ports, only string) error {
	if len(names) == 0 {
		names = suites
	}
	repository, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := build(short); err != nil {
		return err
	}
	var all []*kernel
	failed := 0
	for _, name := range names {
		k, err := fetch(filepath.Join(repository, cache, name), name)
		if err != nil {
			return err
		}
		if err := k.boot(fmt.Sprintf("-guest %s -short=%v -ports %s -run %q", repository, short, ports, only)); err != nil {
			return fmt.Errorf("%s: %w: the console's output is in %s", k.release, err, k.console())
		}
		all = append(all, k)
		failed += k.failures()
	}
	fmt.Print(table(all))
	if failed > 0 {
		return fmt.Errorf("%d steps have failed: what they said is in %s/SUITE/console", failed, cache)
	}
	return nil
}
