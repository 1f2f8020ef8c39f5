// Package access reads what a host shows to the source of [fleet], and what it checks of it: the files
// of source_ca, source_cert, source_cert_key and source_credentials. Nothing of it is ever logged.
package access
