// Package draft is a configuration file of anyport that a program writes for a person to read and
// change: routes with comments that say where each comes from. `anyport import` makes it of the
// rules of a packet filter, and of the configurations of other proxies.
//
//	draft.go   a file and its routes
//	write.go   as TOML
//	service.go what a configuration of another proxy says, for both uses
//
// The package checks nothing: the text is read again by package config, which does.
package draft
