package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
)

func main() {
	notice := flag.Bool("notice", false, "print the licences instead of the SBOM")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom [-notice] PROGRAM")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *notice); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(program string, notice bool) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	parts, err := partsOf(info)
	if err != nil {
		return err
	}
	if notice {
		_, err = os.Stdout.WriteString(noticeOf(parts))
		return err
	}
	return writeSBOM(os.Stdout, info, parts)
}
