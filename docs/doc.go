// Package docs has no code but openapi.go: it is the directory of the documents, with tests that
// hold them, and the README, to what they say. Lines are short, the language is plain,
// links lead somewhere, and the functions that ARCHITECTURE.md names are where it says.
//
// integration/docs_test.go tries the files and commands in the documents.
package docs
