// Package secretfile reads small files with secrets. It refuses a file that others than its owner may
// open: whoever reads it has the secret.
package secretfile
