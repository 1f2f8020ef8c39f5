package secrets

import (
	"regexp"
	"strings"

	"anyport/config/form"
)

var (
	// loosePair is a secret beside its name: password: hunter2.
	loosePair = form.New(`(?i)[\w-]*(?:pass(?:wd|word|phrase)?|secret|token|credentials?|keys?)["']?\s*[:=]\s*["']?([^\s"',;]+)`)
	// userInfo is the password in a URL, or the user if there is none.
	userInfo = form.New(`://(?:[^/\s"'@:]*:)?([^/\s"'@]+)@`)
	// parameter is a secret in the query of a URL.
	parameter = form.New(`(?i)[?&][\w-]*(?:pass|secret|token|key|sig|auth)[\w-]*=([^&\s"'#]+)`)
	// bearer is a header of HTTP.
	bearer = form.New(`(?i)\b(?:bearer|basic)\s+([\w+/=.~-]{8,})`)
)

// looseText looks for secrets in text that is not TOML.
func (w *walker) looseText(text string) {
	if strings.ContainsAny(text, ":=") {
		w.addMatches(loosePair(), text)
	}
	w.looseURL(text)
}

// looseURL looks for secrets in URLs and headers.
func (w *walker) looseURL(text string) {
	if !strings.ContainsAny(text, "@?& ") { // nearly all texts of a file with many routes
		return
	}
	for _, secret := range []*regexp.Regexp{userInfo(), parameter(), bearer()} {
		w.addMatches(secret, text)
	}
}

// addMatches notes what the groups of a form have matched.
func (w *walker) addMatches(form *regexp.Regexp, text string) {
	for _, groups := range form.FindAllStringSubmatch(text, -1) {
		for _, group := range groups[1:] {
			if group != "" {
				w.add(group)
			}
		}
	}
}
