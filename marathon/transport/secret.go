package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"unicode"
)

// Notice is told that files which had been read have changed. A nil error means
// that what is in them now is used; any other says why what was read before
// still is. It may be called from any goroutine, and never gets what was read.
type Notice func(file string, err error)

// maxFile is far above any token, key or bundle of certificates.
const maxFile = 4 << 20

// Secret is a password or a token. However it is formatted, it shows as "***".
// Nil is none. It is safe for concurrent use.
type Secret struct {
	file   string
	notice Notice

	mu   sync.Mutex
	text string
	// wrong is what was last told to be wrong with the file.
	wrong string
}

// NewSecret returns the secret in a file, or else the given text (which comes
// from the environment), or else nil. A file must be readable now. From then on
// it is read each time that the secret is used, so that it can be rotated; while
// it is not readable, or half written, the secret stays what it was.
func NewSecret(file, text string, notice Notice) (*Secret, error) {
	if file == "" && text == "" {
		return nil, nil
	}
	s := &Secret{file: file, notice: notice, text: strings.TrimSpace(text)}
	var err error
	if file != "" {
		s.text, err = readSecret(file)
	} else if err = checkSecret(s.text); err != nil {
		err = fmt.Errorf("secret from the environment: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Text returns the secret as it is now, "" when there is none.
func (s *Secret) Text() string {
	if s == nil {
		return ""
	}
	if s.file == "" {
		return s.text
	}
	text, err := readSecret(s.file)
	s.mu.Lock()
	defer s.mu.Unlock()
	wrong := ""
	if err != nil {
		wrong, text = err.Error(), s.text
	}
	if s.notice != nil && (text != s.text || wrong != s.wrong) {
		s.notice(s.file, err)
	}
	s.text, s.wrong = text, wrong
	return s.text
}

// Format implements fmt.Formatter.
func (s *Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText implements encoding.TextMarshaler.
func (s *Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// readSecret returns what stands in a file, without space around it.
func readSecret(name string) (string, error) {
	data, err := readFile(name)
	if err != nil {
		return "", err
	}
	text := string(bytes.TrimSpace(data))
	if err := checkSecret(text); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// checkSecret reports what no header can carry.
func checkSecret(text string) error {
	switch {
	case text == "":
		return errors.New("is empty")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("has more than one line, or control characters")
	}
	return nil
}

// readFile is os.ReadFile with a limit, of regular files and links to them. Its errors
// name the file. A FIFO or a device would keep the reader waiting, or be empty the next
// time; without O_NONBLOCK even its opening waits.
func readFile(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return data, err
}
