package dashboard

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
)

var (
	//go:embed page.html
	frame string
	//go:embed style.css
	style string
	//go:embed page.js
	pageScript string
	//go:embed map.js
	mapScript string
)

// parts makes the page and its policy when somebody first asks for it.
var parts = sync.OnceValues(func() (page, policy string) {
	script := mapScript + pageScript
	return strings.NewReplacer("/*style*/", style, "/*script*/", script).Replace(frame),
		"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src data:; connect-src 'self'" +
			"; script-src " + hashOf(script) + "; style-src " + hashOf(style)
})

// hashOf is the source expression of a Content-Security-Policy that allows exactly this text.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Serve answers with the page. Its policy allows it the script and the style that are in it, and requests to
// this server.
func Serve(w http.ResponseWriter, _ *http.Request) {
	page, policy := parts()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // after an upgrade the page is another one
	_, _ = w.Write([]byte(page))       // fails if the client is gone
}
