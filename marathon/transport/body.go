package transport

import (
	"context"
	"errors"
	"io"
	"time"
)

// TimeFor returns how long so many bytes of an answer may take to come: a minute, and
// a second more for each 64 KiB. A peer that lets one byte drop every few seconds is
// never silent, and never done.
func TimeFor(bytes int64) time.Duration {
	return time.Minute + time.Duration(bytes>>16)*time.Second
}

// body is the body of an answer. It gives up on a peer that falls silent, and on one
// that takes too long for what it sends.
type body struct {
	inner   io.ReadCloser
	silence time.Duration
	// came counts the bytes of all Reads, waited their time.
	came   int64
	waited time.Duration
	// watch runs during a Read only.
	watch watch
	// cause is why the exchange was cancelled; nil while it was not.
	cause  func() error
	cancel context.CancelCauseFunc
}

// newBody takes over an exchange whose head has arrived. Closing the body ends ctx.
func newBody(ctx context.Context, cancel context.CancelCauseFunc, inner io.ReadCloser, silence time.Duration) *body {
	b := &body{inner: inner, silence: silence, cancel: cancel}
	b.cause = func() error { return context.Cause(ctx) }
	b.watch = startWatch(cancel, "byte of the answer", silence)
	b.watch.stop()
	return b
}

// Read waits for at least one byte, but not longer than the silence allowed.
// A byte is one of the unpacked body, so of gzip several must arrive for one.
func (b *body) Read(p []byte) (int, error) {
	b.watch.resume(b.silence)
	began := time.Now()
	n, err := b.inner.Read(p)
	b.watch.stop()
	b.came, b.waited = b.came+int64(n), b.waited+time.Since(began)
	if timeout, ok := errors.AsType[*TimeoutError](b.cause()); ok && err != nil && !errors.Is(err, io.EOF) {
		err = timeout
	}
	if limit := TimeFor(b.came); b.silence > 0 && err == nil && b.waited > limit {
		err = &TimeoutError{For: "end of the answer", After: limit}
	}
	return n, err
}

// Close gives the connection back, or closes it when the body was not read to its end.
func (b *body) Close() error {
	err := b.inner.Close()
	b.watch.stop()
	b.cancel(nil)
	return err
}
