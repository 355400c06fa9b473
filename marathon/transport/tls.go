package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// TLS says whom to trust, and who we are. The zero value trusts the system's
// authorities and shows no certificate. Files hold PEM.
type TLS struct {
	// CAFile holds the authorities to trust instead of the system's.
	CAFile string
	// CertFile holds our certificate and its intermediates, KeyFile its key: for
	// servers that ask for one (mutual TLS).
	CertFile, KeyFile string
	// ServerName is what a server's certificate must be valid for, and is asked
	// for by SNI, instead of the host in the URL.
	ServerName string
	// Insecure takes any certificate of any server.
	Insecure bool
}

// Check reports what is missing.
func (t TLS) Check() error {
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		return fmt.Errorf("certificate file %s: its key file is missing", t.CertFile)
	case t.KeyFile != "" && t.CertFile == "":
		return fmt.Errorf("key file %s: its certificate file is missing", t.KeyFile)
	}
	return nil
}

// files are the names of all that there are.
func (t TLS) files() string {
	named := slices.DeleteFunc([]string{t.CAFile, t.CertFile, t.KeyFile}, func(name string) bool { return name == "" })
	return strings.Join(named, ", ")
}

// contents are those of the three files.
type contents struct{ ca, cert, key []byte }

func (c contents) equal(d contents) bool {
	return bytes.Equal(c.ca, d.ca) && bytes.Equal(c.cert, d.cert) && bytes.Equal(c.key, d.key)
}

// read reads the files. Its errors say which is wrong, and what it is for.
func (t TLS) read() (contents, error) {
	var c contents
	for _, file := range []struct {
		name, what string
		data       *[]byte
	}{{t.CAFile, "ca", &c.ca}, {t.CertFile, "certificate", &c.cert}, {t.KeyFile, "key", &c.key}} {
		if file.name == "" {
			continue
		}
		data, err := readFile(file.name)
		if err != nil {
			return contents{}, fmt.Errorf("%s file: %w", file.what, err)
		}
		*file.data = data
	}
	return c, nil
}

// config makes of the files what crypto/tls wants.
func (t TLS) config(c contents) (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.ca) {
			return nil, fmt.Errorf("ca file %s: holds no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.X509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("certificate file %s with key file %s: %w", t.CertFile, t.KeyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// explain adds to the error of a handshake which of our files or names it is about.
func (t TLS) explain(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w: trusted are those of %s", err, orElse(t.CAFile, "the system"))
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok && t.ServerName != "" {
		return fmt.Errorf("%w: the TLS server name is set to it", err)
	}
	// The type of an alert that the server sent is not exported.
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		return fmt.Errorf("the server refused the handshake: %w: our certificate file is %s", err, orElse(t.CertFile, "not set"))
	}
	return err
}

func orElse(name, none string) string {
	if name == "" {
		return none
	}
	return name
}
