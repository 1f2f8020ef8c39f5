package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// needs are the modules that the guest needs to reach the host's files.
var needs = []string{"virtio_pci", "virtiofs", "overlay"}

// initramfs writes the file system that the kernel begins with: a shell, those modules and
// the init script.
func (k *kernel) initramfs(then string) (string, error) {
	root := filepath.Join(k.dir, "initramfs")
	if err := os.RemoveAll(root); err != nil {
		return "", err
	}
	for _, dir := range []string{"bin", "dev", "proc", "modules", "host", "memory", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return "", err
		}
	}
	shell, err := exec.LookPath("busybox")
	if err != nil {
		return "", fmt.Errorf("%w: apt-get install busybox-static", err)
	}
	if err := copyFile(shell, filepath.Join(root, "bin/busybox"), 0o755); err != nil {
		return "", err
	}
	modules, err := k.modules(filepath.Join(root, "modules"))
	if err != nil {
		return "", err
	}
	script := fmt.Sprintf(initScript, strings.Join(modules, " "), k.release, filepath.Join(k.dir, "root/lib/modules", k.release), then)
	if err := os.WriteFile(filepath.Join(root, "init"), []byte(script), 0o755); err != nil {
		return "", err
	}
	archive := root + ".cpio"
	out, err := exec.Command("sh", "-c", fmt.Sprintf("cd %q && find . | %s cpio -o -H newc >%q", root, shell, archive)).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cpio: %w: %s", err, out)
	}
	return archive, nil
}

// initScript mounts the host's root, read-only, with memory over it.
const initScript = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for m in %[1]s; do $b insmod /modules/$m || echo "insmod $m failed"; done
$b mount -t virtiofs -o ro host /host || exec $b poweroff -f
$b mount -t tmpfs -o size=1g memory /memory
$b mkdir /memory/upper /memory/work
$b mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root || exec $b poweroff -f
$b mkdir -p /root/lib/modules
$b ln -s %[3]s /root/lib/modules/%[2]s
for m in proc dev; do $b mount -o move /$m /root/$m; done
exec $b switch_root /root %[4]s
`

// modules copies what the kernel needs to load those, each after what it depends on, and
// returns their names.
func (k *kernel) modules(to string) (names []string, err error) {
	show := append([]string{"-d", filepath.Join(k.dir, "root"), "-S", k.release, "--show-depends", "-a"}, needs...)
	out, err := exec.Command("modprobe", show...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("modprobe --show-depends: %w: %s", err, out)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "insmod" || seen[words[1]] { // or it is built in
			continue
		}
		seen[words[1]] = true
		name := strings.TrimSuffix(filepath.Base(words[1]), ".xz")
		if err := unpack(words[1], filepath.Join(to, name)); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// unpack copies a module, decompressed.
func unpack(from, to string) error {
	if !strings.HasSuffix(from, ".xz") {
		return copyFile(from, to, 0o644)
	}
	var plain bytes.Buffer
	cmd := exec.Command("xz", "--decompress", "--stdout", from)
	cmd.Stdout = &plain
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("xz %s: %w", from, err)
	}
	return os.WriteFile(to, plain.Bytes(), 0o644)
}

func copyFile(from, to string, mode os.FileMode) error {
	all, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, all, mode)
}
