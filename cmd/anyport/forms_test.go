package main

import (
	"regexp"
	"testing"

	"anyport/config/form"
)

// TestForms compiles all regular expressions of the binary that are compiled by their first use.
func TestForms(t *testing.T) {
	if len(form.Texts()) < 20 {
		t.Errorf("%d forms", len(form.Texts()))
	}
	for _, text := range form.Texts() {
		if _, err := regexp.Compile(text); err != nil {
			t.Error(err)
		}
	}
}
