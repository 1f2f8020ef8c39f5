// Package spdx recognises the licences of what is linked into anyport.
package spdx

import (
	"errors"
	"strings"
)

// A mark is a sentence by which a licence is known. The order matters: the first that a text has
// decides.
type mark struct{ sentence, license string }

// All of these licences allow to link the module into a program under the Apache License 2.0.
var marks = []mark{
	{"Apache License Version 2.0, January 2004", "Apache-2.0"},
	{"Permission is hereby granted, free of charge, to any person obtaining a copy of this software", "MIT"},
	{"Neither the name of", "BSD-3-Clause"},
	{"The name of any author may not be used to endorse", "BSD-3-Clause"},
	{"Redistribution and use in source and binary forms", "BSD-2-Clause"},
}

// Identify says which licence a text is, as SPDX names it. One that is not known here is an error: a person
// has to decide about it.
func Identify(text string) (string, error) {
	words := strings.Join(strings.Fields(text), " ")
	for _, m := range marks {
		if strings.Contains(words, m.sentence) {
			return m.license, nil
		}
	}
	return "", errors.New("its licence is not known: read it, and add a sentence of it to deploy/spdx")
}
