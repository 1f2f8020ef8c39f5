package daemon

import (
	"testing"

	"anyport/steering/table"
)

// TestCheckHTTP: what the steering takes, a listener of our own does not get.
func TestCheckHTTP(t *testing.T) {
	for address, fine := range map[string]bool{"127.0.0.1:9765": true, "192.0.2.7:9765": false} {
		c := parse(t, "[admin]\nhttp = \""+address+"\"\n")
		table, err := table.Compile(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkHTTP(c, table); (err == nil) != fine {
			t.Errorf("%s: %v", address, err)
		}
	}
}
