package access

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"anyport/cmd/anyport/internal/secretfile"
	"anyport/config"
)

// Access is what the files of [fleet] say. The zero value is for a source that asks for nothing.
type Access struct {
	TLS      *tls.Config // nil: etcd without TLS, or the CAs of the system for https
	User     string      // with Password; "": none
	Password string
	Token    string // of "Bearer TOKEN"; "": none
}

// Read reads the files. It may be called again at any time: a reload does, and each new contact.
func Read(f config.Fleet) (a Access, err error) {
	if f.SourceCA != "" || f.SourceCert != "" {
		a.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.SourceCA != "" {
		if a.TLS.RootCAs, err = readCAs(f.SourceCA); err != nil {
			return a, fmt.Errorf("[fleet] source_ca: %w", err)
		}
	}
	if f.SourceCert != "" {
		cert, err := readCert(f.SourceCert, f.SourceCertKey)
		if err != nil {
			return a, fmt.Errorf("[fleet] source_cert: %w", err)
		}
		a.TLS.Certificates = []tls.Certificate{cert}
	}
	if f.SourceCredentials != "" {
		if err := a.readCredentials(f.SourceCredentials); err != nil {
			return a, fmt.Errorf("[fleet] source_credentials: %w", err)
		}
	}
	if f.IsEtcd() && a.Token != "" {
		return a, fmt.Errorf(`[fleet] source_credentials: etcd takes "USER:PASSWORD", not a token: write that in %s`, f.SourceCredentials)
	}
	return a, nil
}

// readCAs reads a file of certificates.
func readCAs(path string) (*x509.CertPool, error) {
	text, err := secretfile.ReadPublic(path, "the certificates of authorities")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", path)
	}
	return pool, nil
}

// readCert reads a certificate and its key, which may stand in one file.
func readCert(cert, key string) (tls.Certificate, error) {
	if key == "" {
		key = cert
	}
	secret, err := secretfile.Read(key, "the key of the certificate")
	if err != nil {
		return tls.Certificate{}, err
	}
	text, err := secretfile.ReadPublic(cert, "the certificate")
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(text, secret)
}

// readCredentials reads the one line of a file.
func (a *Access) readCredentials(path string) error {
	text, err := secretfile.Read(path, "the credentials")
	if err != nil {
		return err
	}
	line := strings.TrimSpace(string(text))
	if token, ok := strings.CutPrefix(line, "Bearer "); ok {
		a.Token = strings.TrimSpace(token)
	} else {
		a.User, a.Password, _ = strings.Cut(line, ":")
	}
	if strings.ContainsAny(line, "\r\n") || a.Token == "" && (a.User == "" || a.Password == "") {
		return errors.New(path + ` does not have the form "USER:PASSWORD" or "Bearer TOKEN", in one line`)
	}
	return nil
}
