package crashloop

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// LastsAfter is how long a config has to serve until it counts as one that lasts.
const LastsAfter = time.Minute

// maxDeaths is how many deaths with one config are one too many.
const maxDeaths = 2

// deathsKept is how long a death counts: two power cuts in a year are no crash loop.
const deathsKept = time.Hour

// mostDeaths bounds the list. Only the newest count.
const mostDeaths = 16

// Hash names a config by its bytes: SHA-256 in hexadecimal. "" is none.
type Hash string

// HashOf returns the hash of a file's bytes.
func HashOf(text []byte) Hash {
	sum := sha256.Sum256(text)
	return Hash(hex.EncodeToString(sum[:]))
}

// Short is enough of it for people.
func (h Hash) Short() string { return string(h[:min(len(h), 12)]) }

// Records are what outlives the process. They change by their methods only, which return the records
// after the change.
type Records struct {
	Version int    `json:"version"`
	Path    string `json:"path"` // of the config file, for people

	Running  *Attempt `json:"running,omitempty"`   // nil: the last process has ended in an orderly way
	Lasted   *Attempt `json:"lasted,omitempty"`    // the newest that served for LastsAfter
	Deaths   []Death  `json:"deaths,omitempty"`    // in the order in which they were found
	SetAside Hash     `json:"set_aside,omitempty"` // of a file that is not started with; only a change of the file or a minute of service ends it
}

// Attempt is a config that a process has tried to put into service.
type Attempt struct {
	Hash    Hash      `json:"hash"`
	Began   time.Time `json:"began"`
	Anyport string    `json:"anyport"` // the version
	Process Identity  `json:"process"`
	Lasted  bool      `json:"lasted"` // it has served for LastsAfter
}

// Death is the end of a process that had not served a config for LastsAfter and did not report its end.
type Death struct {
	Hash  Hash      `json:"hash"`
	Found time.Time `json:"found"` // by the next process: the time of the death itself is not known
}

// begin is the first step of each start, reload and upgrade: before the text is even parsed, since
// parsing may be what kills the process.
func (r Records) begin(a Attempt) Records {
	r.Running = &a
	return r
}

// end is an orderly end, whatever it was.
func (r Records) end() Records {
	r.Running = nil
	return r
}

// lasts notes that the config of a has served long enough. Another one may be on trial by now.
func (r Records) lasts(a Attempt) Records {
	a.Lasted = true
	r.Lasted = &a
	if r.Running != nil && r.Running.Hash == a.Hash {
		r.Running = &a
	}
	r.Deaths = slices.DeleteFunc(slices.Clone(r.Deaths), func(d Death) bool { return d.Hash == a.Hash })
	if r.SetAside == a.Hash {
		r.SetAside = ""
	}
	return r
}

// find turns an attempt that nobody has ended into a death, unless its config had lasted, and forgets
// old deaths. A clock that was set back makes no death last for ever.
func (r Records) find(now time.Time) Records {
	r.Deaths = slices.DeleteFunc(slices.Clone(r.Deaths), func(d Death) bool {
		age := now.Sub(d.Found)
		return age > deathsKept || age < -deathsKept
	})
	if r.Running != nil && !r.Running.Lasted {
		r.Deaths = append(r.Deaths, Death{r.Running.Hash, now})
	}
	r.Deaths = r.Deaths[max(0, len(r.Deaths)-mostDeaths):]
	return r.end()
}

// deathsOf counts the deaths with one config.
func (r Records) deathsOf(h Hash) (n int) {
	for _, d := range r.Deaths {
		if d.Hash == h {
			n++
		}
	}
	return n
}
