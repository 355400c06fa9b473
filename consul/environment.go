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
	// CAPath is a directory of authorities, which counts where no file of them is
	// named: CONSUL_CAPATH.
	CAPath string
}

// ReadEnvironment reads it; get is os.Getenv. What cannot be obeyed is an error:
// CONSUL_NAMESPACE and CONSUL_PARTITION, which only Consul Enterprise has.
func ReadEnvironment(get func(string) string) (Environment, error) {
	for _, name := range []string{"CONSUL_NAMESPACE", "CONSUL_PARTITION"} {
		if value := get(name); value != "" {
			return Environment{}, fmt.Errorf("%s %q: consular knows no namespaces and partitions, which only Consul Enterprise has: unset it", name, value)
		}
	}
	https, err := boolean(get, "CONSUL_HTTP_SSL", false)
	if err != nil {
		return Environment{}, err
	}
	verify, err := boolean(get, "CONSUL_HTTP_SSL_VERIFY", true)
	if err != nil {
		return Environment{}, err
	}
	e := Environment{HTTPS: https, Insecure: !verify, CAPath: get("CONSUL_CAPATH")}
	if auth := get("CONSUL_HTTP_AUTH"); auth != "" {
		user, password, _ := strings.Cut(auth, ":")
		e.User = url.UserPassword(user, password)
	}
	return e, nil
}

// ParseAddress is ParseAddress for an address that may rely on the environment
// for its scheme and its user. One that comes from there itself, as CONSUL_HTTP_ADDR
// does, is never plain http where CONSUL_HTTP_SSL asks for https: the consul program
// takes it so too.
func (e Environment) ParseAddress(s string, fromEnvironment bool) (*url.URL, error) {
	if e.HTTPS && !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := ParseAddress(s)
	if err != nil {
		return nil, err
	}
	if e.HTTPS && fromEnvironment {
		u.Scheme = "https"
	}
	if u.User == nil {
		u.User = e.User
	}
	return u, nil
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
