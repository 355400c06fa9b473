package consul

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/consul/api"
)

// listing is one question to an agent, and what it answered last. Most answers are, byte
// for byte, the one before, and decoding is most of what an answer costs: one that is the
// same is not decoded again. What it says is shared by all who have asked.
type listing[T any] struct {
	path   string
	decode func(body []byte) (T, error)
	last   atomic.Pointer[answer[T]]
}

type answer[T any] struct {
	digest [sha256.Size]byte
	size   int
	says   T
}

// ask asks the agent, and returns what it says.
func (l *listing[T]) ask(ctx context.Context, a *Agent) (T, error) {
	last := l.last.Load()
	if last == nil {
		last = &answer[T]{} // no text has this digest
	}
	body, err := a.get(ctx, l.path, last.size)
	if err != nil {
		return *new(T), err
	}
	digest := sha256.Sum256(body)
	if digest == last.digest {
		return last.says, nil
	}
	says, err := l.decode(body)
	if err == nil {
		l.last.Store(&answer[T]{digest, len(body), says})
	}
	return says, err
}

// get returns the body of an answer, which has about that size: the library's Query would
// decode it.
func (a *Agent) get(ctx context.Context, path string, size int) ([]byte, error) {
	at := url.URL{Scheme: a.cluster.config.Address.Scheme, Host: a.address, Path: a.path + path}
	question, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := a.cluster.http.Do(question)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := body.ReadFrom(answer.Body); err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, api.StatusError{Code: answer.StatusCode, Body: strings.TrimSpace(body.String())}
	}
	return body.Bytes(), nil
}

// decode decodes an object that maps IDs to what has them.
func decode[V any](body []byte, into *map[string]V) error {
	err := json.Unmarshal(body, into)
	return notNull(err, *into == nil)
}
