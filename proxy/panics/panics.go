package panics

import (
	"fmt"
	"runtime/debug"
)

// Rethrow is deferred last, so that it runs first: at a panic it ends the process, and no other
// deferred call of the goroutine runs. These tidy up, and in the state that a panic leaves one of them
// might wait for ever, for a mutex that is held or a goroutine that is gone: then the process would
// neither serve nor end.
func Rethrow() {
	value := recover()
	if value == nil {
		return
	}
	stack := debug.Stack()
	go func() { panic(fmt.Sprintf("%v\n\n%s", value, stack)) }() // ends the process
	select {}
}
