package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
)

func main() {
	copyright := flag.Bool("copyright", false, "print Debian's copyright file instead of the SBOM")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom [-copyright] PROGRAM")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *copyright); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(program string, copyright bool) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	parts, err := partsOf(info)
	if err != nil {
		return err
	}
	if copyright {
		_, err = os.Stdout.WriteString(copyrightOf(parts))
		return err
	}
	return writeSBOM(os.Stdout, info, parts)
}
