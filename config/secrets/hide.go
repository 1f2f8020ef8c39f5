package secrets

import "strings"

// Hide is a file with *** in place of its secrets. Others are secrets that are known from elsewhere.
func Hide(text string, others *Mask) string {
	var out strings.Builder
	w := walker{found: &Found{}, out: &out}
	w.walk(text)
	text = NewMask(w.found.Values).String(out.String())
	return others.String(userInfo().ReplaceAllString(text, "://"+mask+"@")) // one may be too short for a Mask
}
