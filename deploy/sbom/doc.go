// Command sbom says what is linked into a Go program, for its package:
//
//	go run ./deploy/sbom anyport > sbom.cdx.json         # CycloneDX, with licences
//	go run ./deploy/sbom -copyright anyport > copyright  # their texts, as Debian wants them
//
// The modules and their checksums are those that the linker has written into the program. The
// licences are read in the module cache. A licence that this command does not know is an error:
// a person must look at it first (package spdx).
package main
