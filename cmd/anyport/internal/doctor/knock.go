package doctor

import (
	"context"

	"anyport/cmd/anyport/internal/knock"
	"anyport/cmd/anyport/internal/slowfs"
)

// readKeys reads the keys of knocks, if a route needs them, to see whether it may.
func readKeys(_ context.Context, f *Facts) error {
	if f.Config != nil && f.Config.TakesKnocks() {
		path := f.Config.Knock.Keys
		_, f.KeysErr = slowfs.Do(slowfs.New(readTimeout), "read "+path, func() (knock.Keys, error) { return knock.ReadKeys(path) })
	}
	return nil
}

// checkKnock: without its keys, the file is refused.
func checkKnock(f *Facts) []Finding {
	switch {
	case f.Config == nil || !f.Config.TakesKnocks():
		return ok("no route has knock = [\"spa\"]")
	case f.KeysErr != nil:
		return fail("chmod 600 "+f.Config.Knock.Keys+"   # if it is there: a line for each key, a name and $(openssl rand -base64 32)",
			"anyport refuses the file", "%v", f.KeysErr)
	}
	return ok("only their owner may open the keys")
}
