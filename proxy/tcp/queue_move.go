package tcp

// suspendWaiting takes the loop's conns out of the queues before it moves conns to another process:
// each of these frees a place, which is the other process's to give.
func (l *loop) suspendWaiting() {
	l.queued.suspended = true
	for c := range l.queued.places {
		l.giveUpPlace(c)
	}
}

// resumeWaiting undoes suspendWaiting. Once all loops have done so, callWaiting goes on.
func (l *loop) resumeWaiting() {
	l.queued.suspended = false
	for _, c := range l.slots {
		if c != nil && c.state == waiting && !c.moving && l.queued.places[c] == nil {
			l.rejoinQueue(c)
		}
	}
}

// callWaiting has the first of each queue called that one of the loop's conns is in.
func (l *loop) callWaiting() {
	for c := range l.queued.places {
		l.callFirst(c)
	}
}
