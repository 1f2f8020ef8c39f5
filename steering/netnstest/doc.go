// Package netnstest moves tests that need root into network namespaces of their own.
package netnstest
