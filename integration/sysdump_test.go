package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sysdumpFile has a secret in each place where one may stand; the first argument is the file of keys, the second
// a TLV. Each secret has PLANTED in it.
const sysdumpFile = `
# was: etcd://root:PLANTED-comment@192.0.2.1:2379/anyport
# password: PLANTED-prose
[knock]
keys = %q

[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:80"]
proxy_protocol = "v2"
proxy_tlvs = ["unique-id", %q]
[route.web.health]
type = "tcp"
send = "AUTH PLANTED-send"
expect = "PLANTED-expect"
interval = "100ms"

[route.page]
protocol = "tcp"
prefixes = ["192.0.2.9"]
origins  = ["10.0.0.5:80"]
health = { type = "http", path = "/?token=PLANTED-path", interval = "100ms" }

[route.hidden]
protocol = "tcp"
prefixes = ["192.0.2.77"]
ports    = [22]
origins  = ["10.0.0.5:22"]
knock = [17001, 18002, 19003]

[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
knock = ["spa"]
`

// unpack reads an archive, by the names within its one directory.
func unpack(t *testing.T, archive []byte) (files map[string]string, names []string) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for in := tar.NewReader(plain); ; {
		header, err := in.Next()
		if err == io.EOF {
			return files, names
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		dir, name, _ := strings.Cut(header.Name, "/")
		if !strings.HasPrefix(dir, "anyport-sysdump-") || header.Mode != 0o600 {
			t.Errorf("%s has mode %#o", header.Name, header.Mode)
		}
		if strings.HasSuffix(name, ".json") && !json.Valid(text) {
			t.Errorf("%s is not JSON: %s", name, text)
		}
		files[name] = string(text)
		names = append(names, name)
	}
}

// checkReadme: the README comes first, and has a line for each other file and no more.
func checkReadme(t *testing.T, files map[string]string, names []string) {
	t.Helper()
	var described []string
	for line := range strings.Lines(files["README"]) {
		name, about, _ := strings.Cut(line, " ")
		if _, ok := files[name]; ok && strings.TrimSpace(about) != "" {
			described = append(described, name)
		}
	}
	if len(names) == 0 || names[0] != "README" || !slices.Equal(names[1:], described) {
		t.Errorf("the archive has %q, its README %q", names, described)
	}
}

// checkSecrets: no file has a secret, or the sequence of a knock.
func checkSecrets(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		for _, secret := range []string{"PLANTED", "FIRST_TEXT", "REFUSED_WORD", "17001", "18002", "19003", "UExBTlRFRC1rbm9jay1rZXk"} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s has %q: %s", name, secret, text[max(0, at-100):min(len(text), at+100)])
			}
		}
	}
}

// TestSysdump: the archive has what it should of a process, of its host, and without a process, and no secret of
// any file that the process has read.
func TestSysdump(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	keys := filepath.Join(t.TempDir(), "knock.keys")
	if err := os.WriteFile(keys, []byte("alice UExBTlRFRC1rbm9jay1rZXktMDEyMzQ1Njc4OQ==\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(tlv string) string { return fmt.Sprintf(sysdumpFile, keys, tlv) }
	p := r.edge.serveWith(t, file("0xE1=FIRST_TEXT"))
	p.write(t, file("REFUSED_WORD"))
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "REFUSED_WORD") {
		t.Fatalf("%+v: nothing quotes the secret", got)
	}
	p.write(t, file("0xE1=PLANTED-second")) // of the other two only the process knows
	dump := func() map[string]string {
		t.Helper()
		cmd := exec.Command(program, "sysdump", "-", "-c", p.file)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := r.edge.Start(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, errs.String())
		}
		files, names := unpack(t, out.Bytes())
		files["stderr"] = errs.String()
		checkSecrets(t, files)
		delete(files, "stderr")
		checkReadme(t, files, names)
		return files
	}
	files := dump()
	for name, want := range map[string]string{
		"README":               "with the running process",
		"config.toml":          `proxy_tlvs = ["unique-id", "0xE1=***"]`,
		"effective.toml":       `origins = ["10.0.0.5:80"]`,
		"check.txt":            "ok, 4 routes",
		"versions.txt":         "the running process: ",
		"doctor.txt":           "kernel",
		"doctor.json":          `"findings"`,
		"kernel/programs.json": `"name": "steer"`,
		"status.json":          `"last_reload_error": "`,
		"status.txt":           "web",
		"routes.txt":           "hidden",
		"origins.txt":          "10.0.0.5:80",
		"flows.txt":            "ROUTE",
		"log.txt":              "reload refused",
		"process-limits.txt":   "Max open files",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s lacks %q: %q", name, want, files[name])
		}
	}
	maps := ""
	for name, text := range files {
		if strings.HasSuffix(name, "-bindings.json") || strings.HasSuffix(name, "-knock_steps.json") {
			maps += text
		}
	}
	if !strings.Contains(maps, `"route": "hidden"`) || !strings.Contains(maps, `"withheld"`) {
		t.Errorf("the maps have %s", maps)
	}

	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	files = dump()
	for name, want := range map[string]string{"README": "without a running process", "config.toml": "[route.web]", "doctor.txt": "kernel"} {
		if !strings.Contains(files[name], want) {
			t.Errorf("without a process: %s lacks %q: %q", name, want, files[name])
		}
	}
	if _, ok := files["log.txt"]; ok {
		t.Error("there is a log of no process")
	}
}

// TestSysdumpOfFileThatHangs: doctor and sysdump come to their end where the file is on a network mount whose server
// does not answer, and say so.
func TestSysdumpOfFileThatHangs(t *testing.T) {
	t.Parallel()
	edge := newRig(t).edge
	mount, _ := edge.hang(t)
	file := filepath.Join(mount, "anyport.toml")
	archive := filepath.Join(t.TempDir(), "dump.tar.gz")
	doctor := edge.spawn(t, exec.Command(program, "doctor", "-c", file))
	dump := edge.spawn(t, exec.Command(program, "sysdump", archive, "-c", file, "--socket", "/nowhere"))
	doctor.waitFor(t, patience)
	doctor.expect(t, "is it on a network mount that hangs?")
	if status := dump.waitFor(t, 2*patience); status != 0 {
		t.Errorf("sysdump ends with %d", status)
	}
	packed, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	files, names := unpack(t, packed)
	checkReadme(t, files, names)
	for _, name := range []string{"README", "doctor.txt"} {
		if !strings.Contains(strings.Join(strings.Fields(files[name]), " "), "is it on a network mount that hangs?") {
			t.Errorf("%s does not say why the file is missing: %s", name, files[name])
		}
	}
}
