// Package gommproxy reads the command line of go-mmproxy, or of mmproxy, into the form of package
// proxyconf. Both accept PROXY headers, and dial a server from the client's address.
package gommproxy
