package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs the certificates of one test.
type authority struct {
	dir  string
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

// newAuthority makes one with a key of its own.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.file, _ = a.sign(t, "ca", a.ca)
	return a
}

// sign writes a certificate and its key, and returns their files. The first one that is signed is its own issuer.
func (a *authority) sign(t *testing.T, name string, c *x509.Certificate) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.key == nil {
		a.key = secret
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.ca, &secret.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	write := func(suffix, kind string, bytes []byte) string {
		path := filepath.Join(a.dir, name+suffix)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write(".pem", "CERTIFICATE", der), write(".key", "PRIVATE KEY", private)
}

// issue makes a certificate of a server on an address, or of a client.
func (a *authority) issue(t *testing.T, name, address string) (cert, key string) {
	t.Helper()
	return a.sign(t, name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.ParseIP(address), net.IPv4(127, 0, 0, 1)},
	})
}

// TestFleetTLS: an etcd that wants TLS, a certificate of the client, a user and a password. A push has the same keys.
func TestFleetTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.issue(t, "etcd", fleetOrigin)
	r := newTableRig(t, 1)
	r.center.both(t, fleetOrigin+":4000", named("good"))
	r.etcd.kill(t) // it served without TLS
	r.etcd.scheme = "https"
	r.etcd.args = []string{"--client-cert-auth", "--trusted-ca-file", a.file, "--cert-file", cert, "--key-file", key}
	clientCert, clientKey := a.issue(t, "edge", "127.0.0.1")
	r.etcd.ctlArgs = []string{"--cacert", a.file, "--cert", clientCert, "--key", clientKey}
	r.etcd.start(t)
	for _, args := range []string{"user add root:secret", "user grant-role root root", "user add edge:pass", "role add edge",
		"role grant-permission edge --prefix=true readwrite /edges/", "user grant-role edge edge", "auth enable"} {
		r.etcd.ctl(t, strings.Fields(args)...)
	}
	r.etcd.ctlArgs = append(r.etcd.ctlArgs, "--user", "root:secret")

	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte("edge:wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.etcd.access = fmt.Sprintf("source_ca = %q\nsource_cert = %q\nsource_cert_key = %q\nsource_credentials = %q\n", a.file, clientCert, clientKey, credentials)
	p := r.launch(t, 0, "")
	p.expect(t, "cannot reach the source", "source_credentials")
	if err := os.WriteFile(credentials, []byte("edge:pass\n"), 0o600); err != nil { // which the next contact reads
		t.Fatal(err)
	}
	pushed := r.push(t, fleetTable(4000), "--hold", "0s")
	r.ends(t, pushed, 0)
	eventually(t, "the host serves the table", func() bool { return r.asks(0, "192.0.2.7") == "good" })
	eventually(t, "the host reports", func() bool { return r.etcd.report(t, "edge1").Table != "" })

	for name, access := range map[string]string{
		"without a certificate": fmt.Sprintf("source_ca = %q\nsource_credentials = %q\n", a.file, credentials),
		"of an unknown CA":      fmt.Sprintf("source_ca = %q\nsource_cert = %q\nsource_cert_key = %q\nsource_credentials = %q\n", newAuthority(t).file, clientCert, clientKey, credentials),
		"without TLS":           fmt.Sprintf("source_credentials = %q\n", credentials),
	} {
		r.etcd.access = access
		out := r.edges[0].output(t, "sh", "-c", fmt.Sprintf("%s fleet -c %s 2>&1 || true", program, inFile(t, r.etcd.hostFile("edge1"))))
		if !strings.Contains(out, "etcd http") || strings.Contains(out, "HOST") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// webServer has a table, and counts how it is asked.
type webServer struct {
	mu        sync.Mutex
	text      string
	retry     bool // answer the next request with 503
	refusedAt time.Time
	next      time.Duration // how long after that the next request came; 0: none has
	sent      int
	unchanged int
	strangers int
}

// ServeHTTP answers with the table, 304, 401, or 503.
func (s *webServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.refusedAt.IsZero() && s.next == 0 {
		s.next = time.Since(s.refusedAt)
	}
	tag := fmt.Sprintf("%q", hashOf(s.text))
	switch {
	case r.Header.Get("Authorization") != "Bearer secret":
		s.strangers++
		w.WriteHeader(http.StatusUnauthorized)
	case s.retry:
		s.retry, s.refusedAt = false, time.Now()
		w.Header().Set("Retry-After", fmt.Sprint(int(retryAfter.Seconds())))
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Header.Get("If-None-Match") == tag:
		s.unchanged++
		w.WriteHeader(http.StatusNotModified)
	default:
		s.sent++
		w.Header().Set("ETag", tag)
		io.WriteString(w, s.text)
	}
}

// retryAfter is longer than a host waits before it asks again after an error.
const retryAfter = 4 * time.Second

// seen reads a count.
func (s *webServer) seen(what func() bool) func() bool {
	return func() bool { s.mu.Lock(); defer s.mu.Unlock(); return what() }
}

// TestFleetWeb: a table by https, with a token and a CA; what has not changed is not sent again, and a server that asks for
// a pause gets it.
func TestFleetWeb(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	certFile, keyFile := a.issue(t, "web", fleetOrigin)
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	r := newTableRig(t, 1)
	for n := range 2 {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	s := &webServer{text: fleetTable(4000)}
	server := &http.Server{Handler: s, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	listener := r.center.listen(t, fleetOrigin+":443")
	go server.ServeTLS(listener, "", "") // ended by Close
	t.Cleanup(func() { server.Close() })

	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("Bearer wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.edges[0].launch(t, fmt.Sprintf("[fleet]\nsource = \"https://%s/table.toml\"\nsource_ca = %q\nsource_credentials = %q\n", fleetOrigin, a.file, token))
	p.expect(t, "cannot reach the source", "401 Unauthorized")
	if err := os.WriteFile(token, []byte("Bearer secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first table is served", func() bool { return r.asks(0, "192.0.2.7") == "0" })
	eventually(t, "an unchanged table is asked for", s.seen(func() bool { return s.unchanged > 0 }))
	s.mu.Lock()
	if s.sent != 1 || s.strangers == 0 {
		t.Errorf("the table was sent %d times; %d requests had another token", s.sent, s.strangers)
	}
	s.retry = true
	s.mu.Unlock()
	eventually(t, "the host asks again after a 503", s.seen(func() bool { return s.next > 0 }))
	s.mu.Lock()
	if s.next < retryAfter {
		t.Errorf("it asks again after %v, and the server has asked for %v", s.next, retryAfter)
	}
	s.text = fleetTable(4001)
	s.mu.Unlock()
	eventually(t, "the second table is served", func() bool { return r.asks(0, "192.0.2.7") == "1" })
}
