// Command anyport serves whole IP prefixes on all 65,535 ports with one TCP and one UDP socket.
// `anyport help` says how.
//
// Each command has a file of its own with its flags, its help text and the few lines that wire it:
// run starts package daemon; demo, doctor and unload work on this host; check and explain -c read the
// file; all others ask the running process with the client of package admin (client.go) and print the
// answer with package text.
//
// The packages under internal:
//
//	daemon      a running anyport: open, serve, reload, drain, stop
//	api         the server of the admin API, on the admin socket and admin.http
//	admin       its types and its client
//	socket      the admin socket's file
//	upgrade     both sides of the hand-over to a new process
//	handover    the messages between the two
//	privileges  users and capabilities
//	systemd     the service manager: notifications, stored sockets, watchdog
//	doctor      anyport doctor
//	shadow      anyport run --shadow
//	demo        anyport demo
//	sysdump     anyport sysdump
//	manual      the manual pages
//	text        what is printed for people
//	filelimit   the limit on open files
//	slowfs      file operations that may hang
//
// api, upgrade and doctor do not import daemon: it gives them an interface, or they ask it as a client.
package main
