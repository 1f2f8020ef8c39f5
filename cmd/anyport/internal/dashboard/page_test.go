package dashboard

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// mostBytes bounds the page.
const mostBytes = 150_000

// TestSealed: the page loads nothing from elsewhere, runs only its own script, and no page may frame it.
func TestSealed(t *testing.T) {
	answer := httptest.NewRecorder()
	Serve(answer, httptest.NewRequest("GET", "/", nil))
	policy, text := answer.Header().Get("Content-Security-Policy"), answer.Body.String()
	for _, want := range []string{"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "script-src 'sha256-", "style-src 'sha256-", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	for _, tag := range []string{"script", "style"} {
		found := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(text, -1)
		if len(found) != 1 || !strings.Contains(policy, hashOf(found[0][1])) {
			t.Errorf("the policy %q does not have the hash of the only <%s>, of %d", policy, tag, len(found))
		}
	}
	if len(text) == 0 || len(text) > mostBytes {
		t.Errorf("the page has %d bytes", len(text))
	}
	t.Logf("the page has %d bytes", len(text))
}

// TestNothingFromElsewhere: no address of another server is on the page but that of the SVG namespace, and no
// script writes HTML or runs text.
func TestNothingFromElsewhere(t *testing.T) {
	page, _ := parts()
	text := strings.ReplaceAll(page, "http://www.w3.org/2000/svg", "")
	for _, wrong := range []string{"http:", "https:", "//cdn", "src=", "@import", "url(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", " style=", "onclick="} {
		if strings.Contains(text, wrong) {
			t.Errorf("the page has %q", wrong)
		}
	}
}
