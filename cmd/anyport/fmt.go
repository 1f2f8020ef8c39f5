package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"anyport/config"
	"anyport/config/format"
)

// newFmt knows TOML and nothing of anyport's keys, so it also formats a file that has errors of another kind.
func newFmt() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fmt [FILE… | -] [--check | -w]",
		Short: "Format the file",
		Long: `Print a file in the usual form: one blank around =, one empty line before each table, lists
over several lines moved in by two blanks, comments of adjoining lines in one column. Only
blanks and ends of lines change: comments, keys and their order stay, and so does the meaning.

Without FILE it is the default one; "-" is stdin. With --check nothing is printed, and the exit
status is 1 if a file is not in this form. With -w the files are replaced by what would
have been printed.`,
		Example: `  anyport fmt anyport.toml
  anyport fmt -w /etc/anyport/anyport.toml
  anyport fmt --check anyport.toml`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	check := cmd.Flags().Bool("check", false, "only say whether the files are in this form")
	write := cmd.Flags().BoolP("write", "w", false, "replace the files")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if len(files) == 0 {
			files = []string{config.DefaultPath}
		}
		stdin := len(files) == 1 && files[0] == "-"
		switch {
		case *check && *write:
			return usagef("--check and -w: give one of them")
		case *write && stdin:
			return usagef("-w replaces files, and stdin is none")
		case len(files) > 1 && !*check && !*write:
			return usagef("of several files only one could be printed: give --check or -w")
		}
		var errs []error
		for _, file := range files {
			errs = append(errs, formatFile(cmd, file, *check, *write))
		}
		return errors.Join(errs...)
	}
	return cmd
}

// formatFile prints a file, replaces it, or with check says whether that would change it.
func formatFile(cmd *cobra.Command, file string, check, write bool) error {
	text, err := readToFormat(cmd, file)
	if err != nil {
		return err
	}
	formatted, err := format.File(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("%s: it is not TOML: %s; see anyport check", file, strings.ReplaceAll(err.Error(), "\n", "; "))
	case check && formatted != string(text):
		return fmt.Errorf("%s is not formatted: anyport fmt -w does that", file)
	case check:
		return nil
	case write && formatted == string(text):
		return nil
	case write:
		return replaceFile(file, []byte(formatted))
	}
	_, err = io.WriteString(cmd.OutOrStdout(), formatted)
	return err
}

// readToFormat reads a file, or stdin.
func readToFormat(cmd *cobra.Command, file string) ([]byte, error) {
	switch file {
	case "":
		return nil, usagef("the name of the file is empty")
	case "-":
		return readStdin(cmd)
	}
	return config.ReadAny(file)
}

// replaceFile puts a text in place of a file, with its owner and mode: whoever opens the file meanwhile reads all of
// the old text or all of the new one. A link stays a link.
func replaceFile(path string, text []byte) (err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: print it without -w", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".anyport-fmt-*")
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails if it is in place
	_, err = f.Write(text)
	err = errors.Join(err, likeFile(f, info), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// likeFile gives a new file the owner and the mode of another one. The owner comes first: chown(2) takes away bits
// of the mode.
func likeFile(f *os.File, info os.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(info.Mode().Perm())
}
