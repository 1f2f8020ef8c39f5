// Package sysdump gathers what somebody who mends anyport asks for first, without secrets, in one archive:
// the file, the host, the kernel's programs and maps, and what a running process says. It works without a
// process, and with a broken file; what it cannot read it names in the archive's README.
//
//	gather.go   the parts, in their order
//	file.go     the file: its secrets are known before anything else is added
//	host.go     versions, doctor, the kernel
//	process.go  status, routes, origins, flows, log
//	archive.go  the files, masked and bounded, as one .tar.gz
package sysdump
