// Package overview says what the hosts of a fleet do, and which of them do not do what they should.
package overview
