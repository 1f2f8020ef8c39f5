// Package socket is the unix socket of admin.socket in the file system: made so that only its owner
// may open it, put back when somebody removes it, and removed at the end.
//
//	listen.go    makes the socket, in place of one that a dead process has left
//	owner.go     gives it to steering.user without following a link that others may have laid
//	socket.go    the listener, which survives the removal of its file
//
// Every access to the path may hang if the directory is on a network mount, so those of a serving
// process go through package slowfs. What is said on the socket is package api's.
package socket
