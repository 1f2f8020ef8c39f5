package slowfs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestDo has one thing hang: its caller and the next get an error, and nothing else is begun until
// it has ended.
func TestDo(t *testing.T) {
	w := New(10 * time.Millisecond)
	release, ended := make(chan struct{}), make(chan struct{})
	_, err := Do(w, "read A", func() (int, error) {
		defer close(ended)
		<-release
		return 1, nil
	})
	if err == nil || !strings.Contains(err.Error(), "read A: not done within 10ms") {
		t.Errorf("the first: %v", err)
	}
	if _, err = Do(w, "read B", func() (int, error) { t.Error("begun beside another"); return 0, nil }); err == nil || !strings.Contains(err.Error(), "read B: an earlier access") {
		t.Errorf("the second: %v", err)
	}
	close(release)
	<-ended
	w.limit = time.Minute
	if got, err := Do(w, "read C", func() (int, error) { return 3, nil }); got != 3 || err != nil {
		t.Errorf("once the first has ended: %d, %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := Do(w, "read D", func() (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("its own error: %v", err)
	}
}
