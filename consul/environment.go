package consul

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Environment is what those of Consul's own variables say that no option takes as
// they are, unlike CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN_FILE, CONSUL_CACERT and others.
type Environment struct {
	// HTTPS says that an address without a scheme is https: CONSUL_HTTP_SSL.
	HTTPS bool
	// Insecure says that any certificate is taken: CONSUL_HTTP_SSL_VERIFY, negated.
	Insecure bool
	// User is for a proxy before Consul that asks for HTTP Basic; nil is none:
	// CONSUL_HTTP_AUTH, "user:password".
	User *url.Userinfo
}

// ReadEnvironment reads it; get is os.Getenv.
func ReadEnvironment(get func(string) string) (Environment, error) {
	https, err := boolean(get, "CONSUL_HTTP_SSL", false)
	if err != nil {
		return Environment{}, err
	}
	verify, err := boolean(get, "CONSUL_HTTP_SSL_VERIFY", true)
	if err != nil {
		return Environment{}, err
	}
	e := Environment{HTTPS: https, Insecure: !verify}
	if auth := get("CONSUL_HTTP_AUTH"); auth != "" {
		user, password, _ := strings.Cut(auth, ":")
		e.User = url.UserPassword(user, password)
	}
	return e, nil
}

// ParseAddress is ParseAddress for an address that may rely on the environment
// for its scheme and its user.
func (e Environment) ParseAddress(s string) (*url.URL, error) {
	if e.HTTPS && !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := ParseAddress(s)
	if err == nil && u.User == nil {
		u.User = e.User
	}
	return u, err
}

func boolean(get func(string) string, name string, usual bool) (bool, error) {
	text := get(name)
	if text == "" {
		return usual, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s %q: must be true or false", name, text)
	}
	return value, nil
}
