package integration

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tryLine tries each command of a line of a shell.
func tryLine(t *testing.T, line, file string) {
	t.Helper()
	checkSyntax(t, line)
	for _, words := range simpleCommands(line) {
		tryCommand(t, words, file)
	}
}

// checkSyntax has bash read a script.
func checkSyntax(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command("bash", "-n")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %s", script, out)
	}
}

var (
	quotes    = regexp.MustCompile(`'[^']*'|"[^"]*"`)
	comment   = regexp.MustCompile(`(^|\s)#.*`)
	operators = regexp.MustCompile(`\|\|?|&&?|;|\$\(|<\(|[()]|\b(do|then|else|done|fi)\b`)
	redirects = regexp.MustCompile(`\d?[<>]+\s*\S+`)
	carriers  = regexp.MustCompile(`^(sudo|exec|ip netns exec \S+) `) // they run the command that follows
)

// simpleCommands returns the words of each command of a line: those behind pipes, in lists, in parentheses
// and behind sudo, too. A quoted word is the word QUOTED.
func simpleCommands(line string) (all [][]string) {
	line = comment.ReplaceAllString(quotes.ReplaceAllString(line, "QUOTED"), "")
	for _, command := range operators.Split(line, -1) {
		command = strings.TrimSpace(redirects.ReplaceAllString(command, ""))
		for carriers.MatchString(command) {
			command = carriers.ReplaceAllString(command, "")
		}
		if words := strings.Fields(command); len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}

// TestSimpleCommands: no command hides from TestDocuments.
func TestSimpleCommands(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"anyport check # is it right?":                         "anyport check",
		"sudo ip netns exec edge anyport run -c a.toml 2>x &":  "anyport run -c a.toml",
		"iptables-save | anyport import iptables":              "iptables-save,anyport import iptables",
		"(echo hello; sleep 1) | ncat 'a|b' 7":                 "echo hello,sleep 1,ncat QUOTED 7",
		"for h in a b; do ip -n $h link; done":                 "for h in a b,ip -n $h link",
		"anyport check -c <(generate --all) && anyport reload": "anyport check -c,generate --all,anyport reload",
	} {
		var got []string
		for _, words := range simpleCommands(line) {
			got = append(got, strings.Join(words, " "))
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// otherPrograms are those that a document may use: of the shell, of Debian, and what users write themselves.
var otherPrograms = strings.Fields(`apt birdc curl echo etcd etcdctl for generate grep head install ip ip6tables
	iptables iptables-save journalctl jq kill mount ncat nft openssl promtool sleep ss ssh sysctl systemctl
	systemd-sysusers taplo wait`)

// tryCommand runs commands that only read, with the file that the document showed. It
// looks up the others in anyport's help, in the Makefile and among the other programs.
func tryCommand(t *testing.T, words []string, file string) {
	t.Helper()
	command := strings.Join(words, " ")
	switch name := strings.TrimPrefix(words[0], "./"); name {
	case "make":
		makefile, err := os.ReadFile("../Makefile")
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:`).Match(makefile) {
			t.Errorf("%s: the Makefile has no such target", command)
		}
	case "anyport", "anyport-new":
		tryAnyport(t, command, words[1:], file)
	case "sysctl":
		for _, word := range words[1:] {
			key, _, assigned := strings.Cut(word, "=")
			if _, err := os.Stat("/proc/sys/" + strings.ReplaceAll(key, ".", "/")); assigned && err != nil {
				t.Errorf("%s: %v", command, err)
			}
		}
	case "ncat", "curl", "promtool":
		tryFlags(t, command, name, words[1:])
	default:
		if !slices.Contains(otherPrograms, name) {
			t.Errorf("%s: is %s a program?", command, name)
		}
	}
}

// tryFlags looks up the long flags in the help of another program, if that is here.
func tryFlags(t *testing.T, command, name string, words []string) {
	t.Helper()
	args := map[string][]string{"curl": {"--help", "all"}}[name]
	if args == nil {
		args = []string{"--help"}
	}
	if _, err := exec.LookPath(name); err != nil {
		return
	}
	help, err := exec.Command(name, args...).CombinedOutput()
	for _, flag := range words {
		if flag, _, _ = strings.Cut(flag, "="); strings.HasPrefix(flag, "--") && !strings.Contains(string(help), flag) {
			t.Errorf("%s: %s has no flag %s: %v", command, name, flag, err)
		}
	}
}

func tryAnyport(t *testing.T, command string, args []string, file string) {
	t.Helper()
	if i := slices.Index(args, "-c"); i >= 0 && i+1 < len(args) && file != "" && slices.Contains([]string{"check", "explain"}, args[0]) {
		args[i+1] = file
		if got := anyport(t, args...); got.status != 0 {
			t.Errorf("%s: %s", command, got.stderr)
		}
		return
	}
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i] // the options of another program follow
	}
	if args[0] == "man" || args[0] == "help" { // not in the list of commands
		return
	}
	names := args[:1]
	if args[0] == "import" && len(args) > 1 && !strings.HasPrefix(args[1], "-") || args[0] == "origin" && len(args) > 1 {
		names = args[:2]
	}
	help := anyport(t, append(slices.Clone(names), "--help")...)
	if help.status != 0 {
		t.Errorf("%s: %s", command, help.stderr)
	}
	for _, flag := range args[1:] {
		flag, _, _ = strings.Cut(flag, "=")
		if strings.HasPrefix(flag, "-") && len(flag) > 1 && !regexp.MustCompile(`(^|\s)`+flag+`\b`).MatchString(help.stdout) {
			t.Errorf("%s: anyport %s has no flag %s", command, strings.Join(names, " "), flag)
		}
	}
}
