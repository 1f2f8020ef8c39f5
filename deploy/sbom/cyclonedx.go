package main

import (
	"encoding/json"
	"io"
	"runtime/debug"
	"strings"
)

// The part of CycloneDX 1.5 that is used. There is no serial number and no time: the same program
// has the same SBOM.
type (
	// document is the whole SBOM.
	document struct {
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	// component is the program, or a part of it. The package URL says where the part comes from; by
	// it scanners look up known vulnerabilities.
	component struct {
		Type       string     `json:"type"`
		Ref        string     `json:"bom-ref"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		PURL       string     `json:"purl,omitempty"`
		Licenses   []licensed `json:"licenses"`
		Properties []property `json:"properties,omitempty"`
	}
	licensed struct {
		License license `json:"license"`
	}
	// license has an identifier of SPDX.
	license struct {
		ID string `json:"id"`
	}
	// property is what CycloneDX has no field for: how the program was built, and the checksum of a
	// module, which is not that of a file but of go.sum.
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	// dependency names components by their bom-ref.
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

// writeSBOM writes all parts of a program as its dependencies: which module needs which is not in
// the program.
func writeSBOM(w io.Writer, info *debug.BuildInfo, parts []part) error {
	name := info.Path[strings.LastIndex(info.Path, "/")+1:]
	doc := document{Format: "CycloneDX", SpecVersion: "1.5", Version: 1}
	doc.Metadata.Component = component{Type: "application", Ref: name, Name: name, Version: info.Main.Version, Licenses: licenses("Apache-2.0")}
	for _, s := range info.Settings {
		doc.Metadata.Component.Properties = append(doc.Metadata.Component.Properties, property{"go:build:" + s.Key, s.Value})
	}
	all := dependency{Ref: name}
	for _, p := range parts {
		url := "pkg:golang/" + p.path + "@" + p.version
		c := component{Type: "library", Ref: url, Name: p.path, Version: p.version, PURL: url, Licenses: licenses(p.license)}
		if p.sum != "" {
			c.Properties = []property{{"go:sum", p.sum}}
		}
		doc.Components = append(doc.Components, c)
		all.DependsOn = append(all.DependsOn, url)
	}
	doc.Dependencies = []dependency{all}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(doc)
}

func licenses(id string) []licensed { return []licensed{{license{id}}} }
