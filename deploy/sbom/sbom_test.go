package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinked checks that the SBOM and the copyright file have all that is linked into anyport.
func TestLinked(t *testing.T) {
	program := filepath.Join(t.TempDir(), "anyport")
	if out, err := exec.Command("go", "build", "-o", program, "anyport/cmd/anyport").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := partsOf(info)
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) != len(info.Deps)+1 {
		t.Errorf("%d parts, of %d modules and Go's library", len(parts), len(info.Deps))
	}
	text := copyrightOf(parts)
	for _, p := range parts {
		if !strings.Contains(text, p.path+" "+p.version+" ("+p.license+")\n") {
			t.Errorf("the copyright file lacks %s", p.path)
		}
	}
	for _, known := range []string{"GNU GENERAL PUBLIC LICENSE", "TERMS AND CONDITIONS FOR USE"} {
		if strings.Contains(text, known) {
			t.Errorf("the copyright file repeats what every Debian has: %s", known)
		}
	}

	var sbom bytes.Buffer
	if err := writeSBOM(&sbom, info, parts); err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(sbom.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Components) != len(parts) || len(doc.Dependencies) != 1 || len(doc.Dependencies[0].DependsOn) != len(parts) {
		t.Errorf("the SBOM has %d components: %+v", len(doc.Components), doc.Dependencies)
	}
	for _, c := range doc.Components {
		if c.Name == "" || c.Version == "" || c.Licenses[0].License.ID == "" {
			t.Errorf("incomplete: %+v", c)
		}
	}
}
