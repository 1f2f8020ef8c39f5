package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"anyport/config"
)

// TestManHasAll checks that the pages name every command, flag, table and key.
func TestManHasAll(t *testing.T) {
	commands, file := man(t, "anyport.8"), man(t, "anyport.toml.5")
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if !cmd.IsAvailableCommand() {
			return
		}
		if want := "\n   " + cmd.CommandPath(); !strings.Contains(commands, want) {
			t.Errorf("anyport(8) does not describe %q", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			if !flag.Hidden && flag.Name != "help" && !strings.Contains(commands, "--"+flag.Name) {
				t.Errorf("anyport(8) does not have --%s of %s", flag.Name, cmd.Name())
			}
		})
		for _, below := range cmd.Commands() {
			check(below)
		}
	}
	for _, cmd := range newRoot().Commands() {
		check(cmd)
	}
	for _, table := range config.Reference() {
		if !strings.Contains(file, "\n"+table.Header+"\n") {
			t.Errorf("anyport.toml(5) does not have %s", table.Header)
		}
		for _, key := range table.Keys {
			if !strings.Contains(file, "\n       "+key.Line) {
				t.Errorf("anyport.toml(5) does not have %s", key.Line)
			}
		}
	}
}

// TestManUsage holds the exit status of a page that does not exist.
func TestManUsage(t *testing.T) {
	for _, args := range [][]string{{"man"}, {"man", "anyport.1"}, {"man", "anyport.8", "more"}} {
		var out, err bytes.Buffer
		if status := execute(args, &out, &err); status != exitUsage || out.Len() > 0 {
			t.Errorf("%v: exit status %d, %q", args, status, out.String())
		}
	}
}

// man is a page as man(1) shows it on a wide terminal, without a warning.
func man(t *testing.T, page string) string {
	t.Helper()
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("no man here")
	}
	var source, complaint bytes.Buffer
	if status := execute([]string{"man", page}, &source, &complaint); status != exitDone {
		t.Fatalf("man %s: exit status %d: %s", page, status, complaint.String())
	}
	cmd := exec.Command("man", "--warnings", "--local-file", "-")
	cmd.Env = append(cmd.Environ(), "MANWIDTH=1000", "LC_ALL=C.UTF-8", "MAN_KEEP_FORMATTING=")
	var shown bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &source, &shown, &complaint
	if err := cmd.Run(); err != nil || complaint.Len() > 0 {
		t.Errorf("man %s: %v: %s", page, err, complaint.String())
	}
	return shown.String()
}
