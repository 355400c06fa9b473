package transport

import (
	"crypto/tls"
	"net/http"
	"sync"
	"time"
)

// rereadEvery is how often certificates are looked at, at most.
const rereadEvery = time.Second

// pool is an http.Transport that is replaced when the certificate files change. A
// tls.Config cannot be changed in use, and its hooks cannot verify a server by its
// IP address, as Consul's agents are.
// Exchanges under way finish on their old connections.
type pool struct {
	tls    TLS
	notice Notice
	// open makes the transport for a tls.Config.
	open func(*tls.Config) *http.Transport

	mu   sync.Mutex
	base *http.Transport
	// seen is what base was made of, looked when that was compared.
	seen   contents
	looked time.Time
	// wrong is what was last told to be wrong with the files.
	wrong string
}

// newPool reads the files for the first time.
func newPool(t TLS, notice Notice, open func(*tls.Config) *http.Transport) (*pool, error) {
	p := &pool{tls: t, notice: notice, open: open}
	seen, err := t.read()
	if err != nil {
		return nil, err
	}
	if err := p.renew(seen); err != nil {
		return nil, err
	}
	return p, nil
}

// renew makes a transport of what was read.
func (p *pool) renew(seen contents) error {
	config, err := p.tls.config(seen)
	if err != nil {
		return err
	}
	p.base, p.seen, p.looked = p.open(config), seen, time.Now()
	return nil
}

// transport returns the one to use now.
func (p *pool) transport() *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tls.files() != "" && time.Since(p.looked) >= rereadEvery {
		p.reread()
	}
	return p.base
}

// reread looks whether the files have changed. While they cannot be used, as
// when a certificate is there already and its key is not, the old ones are.
func (p *pool) reread() {
	p.looked = time.Now()
	old := p.base
	seen, err := p.tls.read()
	if err == nil && !seen.equal(p.seen) {
		err = p.renew(seen)
	}
	wrong := ""
	if err != nil {
		wrong = err.Error()
	}
	if p.notice != nil && (p.base != old || wrong != p.wrong) {
		p.notice(p.tls.files(), err)
	}
	p.wrong = wrong
	if p.base != old {
		old.CloseIdleConnections()
	}
}
