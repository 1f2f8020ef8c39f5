package spdx

import "testing"

// TestUnknownLicense checks that a licence that nobody has read is refused.
func TestUnknownLicense(t *testing.T) {
	for _, text := range []string{"", "All rights reserved.", "GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007"} {
		if license, err := Identify(text); err == nil {
			t.Errorf("%q is taken for %s", text, license)
		}
	}
}
