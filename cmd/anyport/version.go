package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the linker: -X main.release=v1.2.3. Without it a binary names its revision.
var release string

// newVersion describes this binary, not the running process, which may be older: status shows that one.
func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version of this binary, the Go release that built it, and its platform.",
		Example: "  anyport version",
		Args:    noArgs,
		RunE:    printVersion,
	}
}

// printVersion is both "anyport version" and "anyport --version".
func printVersion(cmd *cobra.Command, _ []string) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
	return err
}

// versionLine is what printVersion prints.
func versionLine() string {
	return fmt.Sprintf("anyport %s (%s %s/%s)", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version is the release, or what the toolchain knows of the source's revision.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if release != "" || !ok {
		return cmp.Or(release, "unknown")
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; len(revision) >= 12 {
		return "devel-" + revision[:12]
	}
	return cmp.Or(info.Main.Version, "unknown")
}
