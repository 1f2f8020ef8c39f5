package integration

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The version and the time of the packages under test: a copy of the source has no repository to
// take them from.
const (
	packageVersion = "v1.2.3"
	packageTime    = "1700000000"
)

// TestPackage builds the packages for Debian in two directories: both have the same bytes, lintian
// has nothing to say, and they can be installed, used, removed and purged.
func TestPackage(t *testing.T) {
	if os.Getenv("ANYPORT_PACKAGE") != "1" {
		t.Skip("takes minutes: make package-test")
	}
	needRoot(t)
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			file := buildPackage(t, arch)
			if again := buildPackage(t, arch); sum(t, file) != sum(t, again) {
				t.Errorf("%s and %s differ", file, again)
			}
			if out, err := exec.Command("lintian", "--allow-root", "--fail-on=error,warning", "--tag-display-limit=0", file).CombinedOutput(); err != nil {
				t.Errorf("lintian: %v\n%s", err, out)
			}
			if arch == "amd64" {
				installPackage(t, file, bareRoot(t))
				installPackage(t, file, debianRoot(t))
			}
			usePackage(t, file, arch)
		})
	}
}

// buildPackage copies the source into a directory of its own and builds there.
func buildPackage(t *testing.T, arch string) string {
	t.Helper()
	dir := t.TempDir()
	shell(t, `cd .. && git ls-files -z --cached --others --exclude-standard |
		xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' sh |
		tar --create --null --files-from=- | tar --extract --directory="$0"`, dir)
	build := exec.Command(filepath.Join(dir, "deploy/debian/build"), arch, "out")
	build.Dir = dir
	build.Env = append(os.Environ(), "VERSION="+packageVersion, "SOURCE_DATE_EPOCH="+packageTime)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "out", "anyport_1.2.3_"+arch+".deb")
}

func sum(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(content))
}

// bareRoot has a shell and dpkg's files, and nothing else: no C library, no systemd.
func bareRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	shell(t, `cd "$0" && mkdir -p bin dev usr/bin var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers var/log
		: >var/lib/dpkg/status
		mknod -m 666 dev/null c 1 3
		cp "$(command -v busybox)" bin/busybox
		chroot . /bin/busybox --install -s /bin`, root)
	return root
}

// debianRoot is what debootstrap makes of the mirror that this host installs from.
func debianRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	shell(t, `. /etc/os-release
		mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
			awk -v release="$VERSION_CODENAME" '$1 == release && $2 == "main" { print $3; exit }')
		debootstrap --variant=minbase "$VERSION_CODENAME" "$0" "$mirror"`, root)
	return root
}

// installPackage installs, uses, removes and purges the package in a root, where only the
// configuration stays after the removal, and nothing after the purge.
func installPackage(t *testing.T, file, root string) {
	t.Helper()
	before := files(t, root)
	dpkg := func(args ...string) string {
		t.Helper()
		return mustRun(t, "dpkg", append([]string{"--root=" + root, "--force-not-root"}, args...)...)
	}
	dpkg("--install", file)
	if out := mustRun(t, "chroot", root, "/usr/bin/anyport", "check"); !strings.Contains(out, "/etc/anyport/anyport.toml: ok, 1 route") {
		t.Errorf("anyport check: %s", out)
	}
	if out := mustRun(t, "chroot", root, "/usr/bin/anyport", "version"); !strings.Contains(out, packageVersion) {
		t.Errorf("anyport version: %s", out)
	}
	dpkg("--verify", "anyport")

	config := filepath.Join(root, "etc/anyport/anyport.toml")
	edited := []byte("# edited\n")
	if err := os.WriteFile(config, edited, 0o644); err != nil {
		t.Fatal(err)
	}
	dpkg("--force-confdef", "--install", file)
	dpkg("--remove", "anyport")
	if kept, err := os.ReadFile(config); err != nil || !bytes.Equal(kept, edited) {
		t.Errorf("after the removal the configuration is %q, %v", kept, err)
	}
	for _, left := range added(before, files(t, root)) {
		if !strings.HasPrefix(left+"/", "/etc/") {
			t.Errorf("the removal leaves %s", left)
		}
	}
	dpkg("--purge", "anyport")
	if left := added(before, files(t, root)); len(left) > 0 {
		t.Errorf("the purge leaves %v", left)
	}
}

// usePackage runs what the package has on a foreign architecture too, by emulation of its user mode.
func usePackage(t *testing.T, file, arch string) {
	t.Helper()
	root := t.TempDir()
	mustRun(t, "dpkg-deb", "--extract", file, root)
	anyport := []string{filepath.Join(root, "usr/bin/anyport")}
	if arch == "arm64" {
		anyport = append([]string{"qemu-aarch64-static"}, anyport...)
	}
	toml := filepath.Join(root, "etc/anyport/anyport.toml")
	for _, try := range []struct {
		args []string
		want string
	}{
		{[]string{"version"}, packageVersion + ` \(go.* linux/` + arch + `\)`},
		{[]string{"check", "-c", toml}, "ok, 1 route, 1 prefix"},
		{[]string{"explain", "-c", toml, "udp", "192.0.2.7:53"}, "(?m)^route: +example$"},
	} {
		args := append(slices.Clone(anyport), try.args...)
		if out := mustRun(t, args[0], args[1:]...); !regexp.MustCompile(try.want).MatchString(out) {
			t.Errorf("%v: %s", try.args, out)
		}
	}
	for _, page := range []string{"man8/anyport.8.gz", "man5/anyport.toml.5.gz"} {
		if out := mustRun(t, "man", "--local-file", filepath.Join(root, "usr/share/man", page)); !strings.Contains(out, "anyport "+packageVersion) {
			t.Errorf("%s has no version: %.200s", page, out)
		}
	}
}

// mustRun runs a command to its end, which must be a success.
func mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// shell runs a script, whose $0 is dir.
func shell(t *testing.T, script, dir string) {
	t.Helper()
	mustRun(t, "sh", "-ec", script, dir)
}

// files are all paths of a root, without dpkg's own and logs.
func files(t *testing.T, root string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, root)
		if !strings.HasPrefix(name, "/var/lib/dpkg/") && !strings.HasPrefix(name, "/var/log/dpkg.log") {
			all[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func added(before, after map[string]bool) (names []string) {
	for name := range after {
		if !before[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
