// Package proxytest has routes and datagrams for the tests of proxy's packages.
package proxytest
