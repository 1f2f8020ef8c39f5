package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/openapitest"
)

// TestTraceStream: the answer begins at once, has an object in each line, and ends with the trace.
func TestTraceStream(t *testing.T) {
	answer := asRoot(&fakeService{}, httptest.NewRequest("GET", "/trace?client=198.51.100.0/24", nil))
	var events []string
	for line := range strings.Lines(answer.Body.String()) {
		var e admin.TraceEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		events = append(events, e.Event)
		for _, wrong := range openapitest.Check("TraceEvent", []byte(line)) {
			t.Errorf("%s: %s", line, wrong)
		}
	}
	if want := []string{admin.TraceBegin, admin.TracePacket, admin.TraceEnd}; !slices.Equal(events, want) || !answer.Flushed {
		t.Errorf("%q, want %q", events, want)
	}
	for request, service := range map[string]*fakeService{"/trace?client=me": {}, "/trace?route=web": {err: errors.New("no")}} {
		if answer := asRoot(service, httptest.NewRequest("GET", request, nil)); answer.Code != http.StatusConflict {
			t.Errorf("%s: %d, %s", request, answer.Code, answer.Body)
		}
	}
}
