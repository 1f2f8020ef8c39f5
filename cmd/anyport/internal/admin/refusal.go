package admin

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
)

// What some refusals are about, for errors.Is on both ends of the socket. The text of a refusal is for people, and
// changes with the versions.
var (
	ErrPeers    = errors.New("the peers of the file cannot be asked")
	ErrNoRoute  = errors.New("no such route is in service")
	errNoAccess = errors.New("the user may not ask for that")
)

// RefusedHeader is the header of a refusal that says what it is about, by a word of refusals.
const RefusedHeader = "Anyport-Refused"

// refusals are those that an answer tells apart: word → error.
var refusals = map[string]error{"peers": ErrPeers, "no_route": ErrNoRoute}

// RefusedWords are the words of RefusedHeader.
func RefusedWords() []string { return slices.Sorted(maps.Keys(refusals)) }

// refusal is an error about something. Only its own text is shown.
type refusal struct {
	error
	about error
}

func (r refusal) Unwrap() []error { return []error{r.error, r.about} }

// Refuse makes err one that is about something of this file.
func Refuse(about, err error) error { return refusal{err, about} }

// RefusedWord is what RefusedHeader says about a refusal; "": nothing.
func RefusedWord(err error) string {
	for word, about := range refusals {
		if errors.Is(err, about) {
			return word
		}
	}
	return ""
}

// IsFinal reports whether the same question gets the same error until somebody changes something: the user, the file
// or the version. All other errors of a process that is about to serve may go away.
func IsFinal(err error) bool {
	for _, about := range []error{errNoAccess, errUnknownVerb, ErrNoRoute, fs.ErrPermission} {
		if errors.Is(err, about) {
			return true
		}
	}
	return false
}
