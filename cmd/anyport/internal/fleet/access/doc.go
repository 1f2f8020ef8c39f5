// Package access reads the credentials that a host presents to the source of [fleet], and the CAs by which it
// checks the source: the files of source_ca, source_cert, source_cert_key and source_credentials. Their
// contents are never logged.
package access
