// Package secretfile reads small files that the configuration names: with secrets, and certificates. It refuses a
// secret that others than its owner may open: whoever reads it has the secret. It waits for no FIFO and reads no device.
package secretfile
