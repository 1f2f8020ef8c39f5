// Package secrets finds the values of a file that only its owner may read, and masks them in other texts.
//
//	find.go    which key each value belongs to, in whatever state the file is
//	value.go   what of a value is a secret, by its key
//	loose.go   what looks like a secret in comments, URLs and lines that are not TOML
//	hide.go    the file itself, with *** in place of them
//	mask.go    any other text; json.go: JSON, which stays JSON
//
// It errs on the side of masking: a log with one word too few is still of use.
package secrets
