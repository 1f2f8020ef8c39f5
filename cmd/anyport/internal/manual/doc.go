// Package manual writes the manual pages anyport(8) and anyport.toml(5), for man(1).
//
// The pages have the same source as what users read elsewhere: the commands with their help
// texts and flags, and the rows of the configuration file that reference.toml is made of. So a
// new command, flag or key is in its page without further work.
//
//	command.go   anyport(8)
//	file.go      anyport.toml(5)
//	roff.go      the few macros of man(7) that both use, and their escapes
package manual
