package nginx_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/nginx"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

func TestGolden(t *testing.T) {
	t.Chdir("testdata") // the report then has names without a folder
	proxyconftest.Golden(t, "*.conf", nginx.Read)
}

// anyAddress lets programs bind addresses that the namespace does not have.
const anyAddress = "echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind; echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind"

const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// TestNginxAccepts: the configurations of these tests are valid ones.
func TestNginxAccepts(t *testing.T) {
	if _, err := os.Stat(streamModule); err != nil {
		t.Skip("nginx or its stream module is not installed")
	}
	if os.Geteuid() != 0 {
		t.Skip("nginx binds the addresses, which needs a network namespace")
	}
	t.Parallel()
	files, _ := filepath.Glob("testdata/*.conf")
	for _, path := range files {
		if strings.HasSuffix(path, "mail_tls.conf") { // it needs a certificate
			continue
		}
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		global := "load_module " + streamModule + "; pid " + folder + "/pid; error_log " + folder + "/log;"
		out, err := exec.Command("unshare", "--net", "sh", "-c", anyAddress+`; exec nginx "$@"`, "sh",
			"-t", "-e", folder+"/log", "-p", filepath.Dir(path), "-c", path, "-g", global).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// TestNothingIsLost: each directive outside of http stands in the report with an outcome.
func TestNothingIsLost(t *testing.T) {
	t.Chdir("testdata")
	files, _ := filepath.Glob("*.conf")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reading, err := nginx.Read(path, string(text), proxyconftest.Options(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		reported := map[string]bool{}
		for _, l := range reading.Lines {
			name, _, _ := strings.Cut(l.Text, " ")
			reported[fmt.Sprint(l.File, l.Number, name)] = l.Outcome() != ""
		}
		for place, name := range statements(path, string(text)) {
			if !reported[place+name] {
				t.Errorf("%s in %s is not in the report", name, path)
			}
		}
	}
}

// statements finds the first words of directives in texts without braces and semicolons in quotes.
func statements(path, text string) map[string]string {
	found := map[string]string{}
	http := false
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		http = (http || line == "http {") && line != "}"
		if http || strings.HasPrefix(strings.TrimSpace(line), "'") {
			continue
		}
		for _, statement := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(";{}", r) }) {
			if words := strings.Fields(statement); len(words) > 0 {
				found[fmt.Sprint(path, i+1)] = words[0]
			}
		}
	}
	return found
}
