package transport

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode"
)

const (
	// maxShown is how much of an error is shown, in bytes.
	maxShown = 500
	// maxHeard is how much of it is looked through before.
	maxHeard = 64 << 10
)

// maxSent is how many credentials are remembered: those of all masters and of a proxy,
// and some that have been rotated since.
const maxSent = 32

// Conceal returns err as a log may have it: without the credentials that were sent
// through t in any request so far, on one line, and not too long. It is for the whole
// error of a request, made of whatever the other side has said. What err wraps stays
// reachable, and is not to be shown.
func (t *Transport) Conceal(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	heard := text[:min(len(text), maxHeard)]
	shown := shorten(oneLine(t.sent.hide(heard, len(heard) < len(text))))
	if shown == text {
		return err
	}
	return &concealed{error: err, shown: shown}
}

// concealed is an error with another text.
type concealed struct {
	error
	shown string
}

func (c *concealed) Error() string { return c.shown }

func (c *concealed) Unwrap() error { return c.error }

// oneLine returns text without what would spoil a line or a terminal.
func oneLine(text string) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	return strings.Join(strings.Fields(printable), " ")
}

func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}

// sent remembers the credentials of requests.
type sent struct {
	mu sync.Mutex
	// headers are the values of their headers, the newest last, and needles what each
	// is recognised by.
	headers []string
	needles [][]needle
}

// note remembers the credentials that req carries, and those of the proxy on its way.
func (s *sent) note(req *http.Request) {
	headers := []string{req.Header.Get("Authorization"), req.Header.Get("X-Consul-Token")}
	if proxy, err := http.ProxyFromEnvironment(req); err == nil && proxy != nil && proxy.User != nil {
		password, _ := proxy.User.Password()
		headers = append(headers, basic(proxy.User.Username(), password))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, header := range headers {
		if header == "" || slices.Contains(s.headers, header) {
			continue
		}
		if len(s.headers) == maxSent {
			s.headers, s.needles = s.headers[1:], s.needles[1:]
		}
		s.headers, s.needles = append(s.headers, header), append(s.needles, needlesOf(header))
	}
}

func basic(user, password string) string {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, password)
	return req.Header.Get("Authorization")
}

// secretsOf returns what is secret in the value of a header: all of it, since it may be
// repeated as it is, what follows its scheme, a password; and what these are taken apart
// to where they are read as a URL or a media type.
func secretsOf(header string) []string {
	secrets, parts := []string{header}, []string{strings.TrimPrefix(header, "token=")}
	if _, value, ok := strings.Cut(header, " "); ok {
		parts = []string{value}
	}
	req := http.Request{Header: http.Header{"Authorization": {header}}}
	if user, password, ok := req.BasicAuth(); ok {
		secrets, parts = append(secrets, user+":"+password), append(parts, password)
	}
	for _, part := range parts {
		secrets = append(secrets, part)
		secrets = append(secrets, strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune("/?#@:;", r) })...)
	}
	return secrets
}

// hide returns text with *** in place of every credential, and of what may be the
// beginning of one where it was cut.
func (s *sent) hide(text string, cut bool) string {
	s.mu.Lock()
	needles := slices.Concat(s.needles...)
	s.mu.Unlock()
	if len(needles) == 0 {
		return text
	}
	hidden := make([]bool, len(text))
	for _, r := range readings(text) {
		folded := fold(r.text)
		for _, n := range needles {
			n.each(folded, cut, func(from, to int) {
				for i := r.at[from]; i < r.at[to]; i++ {
					hidden[i] = true
				}
			})
		}
	}
	if !slices.Contains(hidden, true) {
		return text
	}
	var shown strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			shown.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			shown.WriteString("***")
		}
	}
	return shown.String()
}

// needle is one form of a secret, folded.
type needle struct {
	text string
	// before and after are how many characters next to it tell of the secret too.
	before, after int
}

// How long a secret must be, and the inside of its Base64, to be looked for: less occurs
// in any sentence by itself.
const (
	minSecret  = 3
	minEncoded = 6
)

// needlesOf returns the forms of the secrets in a header. One that is encoded as part of
// a longer text, such as "user:password", has one of three, as its place is a multiple of
// three or not.
func needlesOf(header string) []needle {
	var needles []needle
	for _, secret := range secretsOf(header) {
		if len(secret) >= minSecret {
			needles = append(needles, needle{text: fold(secret)})
		}
		for shift := range 3 {
			encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), secret...))
			begin, end := (8*shift+5)/6, 8*(shift+len(secret))/6
			if end-begin >= minEncoded {
				needles = append(needles, needle{fold(encoded[begin:end]), min(shift, 1), len(encoded) - end})
			}
		}
	}
	return needles
}

// each calls found with the places of the needle in a reading, and with that of its
// beginning at the end of a text that was cut.
func (n needle) each(plain string, cut bool, found func(from, to int)) {
	end := 0
	for i := strings.Index(plain, n.text); i >= 0; i = strings.Index(plain[end:], n.text) {
		from := end + i
		end = from + len(n.text)
		found(max(0, from-n.before), min(len(plain), end+n.after))
	}
	for known := len(n.text) - 1; cut && known > 0; known-- {
		if strings.HasSuffix(plain, n.text[:known]) {
			found(max(0, len(plain)-known-n.before), len(plain))
			return
		}
	}
}
