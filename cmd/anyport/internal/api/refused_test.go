package api

import (
	"errors"
	"fmt"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

// TestRefusedWord: what a refusal is about arrives at the client as an error, whatever its text says. The text arrives
// as the service gave it, with the line of the file.
func TestRefusedWord(t *testing.T) {
	problems := config.Problems{{File: "a.toml", Line: 3, Column: 1, Length: 1, Source: "peers = 1", Key: "fleet.peers", Text: "it is wrong"}}
	about := []error{admin.ErrPeers, admin.ErrNoRoute}
	for _, c := range []struct {
		err  error
		want error // nil: nothing
	}{
		{problems, nil},
		{errors.New("no route is in service"), nil},
		{admin.Refuse(admin.ErrPeers, problems), admin.ErrPeers},
		{fmt.Errorf("refused: %w", admin.Refuse(admin.ErrPeers, problems)), admin.ErrPeers},
		{errors.Join(admin.Refuse(admin.ErrNoRoute, errors.New("none")), errors.New("more")), admin.ErrNoRoute},
	} {
		client := serveFake(t, &fakeService{err: c.err})
		_, err := client.Reload(t.Context(), true, nil)
		if err == nil || err.Error() != config.Detail(c.err) {
			t.Errorf("%v arrives as %v", c.err, err)
		}
		for _, a := range about {
			if errors.Is(err, a) != (a == c.want) {
				t.Errorf("%v: is it %q? %v", c.err, a, errors.Is(err, a))
			}
		}
	}
}
