package tcp

import "time"

// sockets are the calls that the steps of a conn make: on the kernel ([socket.Kernel], which says
// what each does), or in tests on a script, so that lives of a conn can be played without one.
type sockets interface {
	Receive(fd int32, b []byte) (int, error)
	Peek(fd int32, b []byte) (int, error)
	Discard(fd int32, n int) (int, error)
	Send(fd int32, b []byte) (int, error)
	Splice(from, to int32, most int) (int, error)
	SendFIN(fd int32) error
	EnableKeepalive(fd int32, after time.Duration)
	TakeError(fd int32) error
	Unread(fd int32) uint32
	Unacked(fd int32) uint32
	Close(fd int32)
	Reset(fd int32)
}
