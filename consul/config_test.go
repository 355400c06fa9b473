package consul

import (
	"net/url"
	"strings"
	"testing"

	"consular/marathon/transport"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"http://localhost:8500":        "http://localhost:8500",
		"localhost:8500":               "http://localhost:8500",
		"https://consul.example/proxy": "https://consul.example/proxy",
		"[::1]:8500":                   "http://[::1]:8500",
		"http://me:secret@consul:8500": "http://me:secret@consul:8500",
		"http://consul:8500/%40":       "http://consul:8500/%40",
	} {
		if u, err := ParseAddress(text); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v", text, u, err)
		}
	}
}

func TestBadAddressIsNamedWithoutItsPassword(t *testing.T) {
	for _, text := range []string{
		"", "ftp://me:secret@consul", "unix:///var/run/consul.sock", "http://", "http://me:secret@consul:port",
		"http://me:secret@consul?q", "http://me:secret@con sul", "me:secret@:80", "http://me:secret@a@0.0.0.0:8500", "http://me:8500/secret@consul:8500", "http://me/secret@consul",
		"http://consul:8500/?token=secret", "http://consul:8500#secret", "http://consul:8500?", "http://[fe80::1%25eth0]:8500",
	} {
		u, err := ParseAddress(text)
		if err == nil {
			t.Errorf("%s: took %v", text, u)
			continue
		}
		if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "consul address") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestBadAddressIsShownWithoutItsUser(t *testing.T) {
	for _, address := range []*url.URL{
		{Scheme: "http", User: url.User("secret"), Host: "0.0.0.0"},
		{Scheme: "http", User: url.UserPassword("secret", "secret"), Host: "consul", RawQuery: "token=secret"},
	} {
		_, err := NewCluster(Config{Address: address, Transport: &transport.Transport{}, Prefix: "a", Format: FormatRaw})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), address.Host) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestConfigCheckNamesTheFault(t *testing.T) {
	good := Config{Address: &url.URL{Scheme: "http", Host: "localhost:8500"}, Transport: &transport.Transport{}, Prefix: "a/b", Format: FormatJSON}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"consul address":      func(c *Config) { c.Address = nil },
		"consul transport":    func(c *Config) { c.Transport = nil },
		"consul answer limit": func(c *Config) { c.MaxAnswer = -1 },
		"--kv-format":         func(c *Config) { c.Format = "yaml" },
		"--kv-prefix":         func(c *Config) { c.Prefix = "/consular" },
	} {
		bad := good
		change(&bad)
		if _, err := NewCluster(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got: %v", want, err)
		}
	}
}

// A URL that is refused never shows its password; one that is taken is what it says.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"localhost:8500", "https://a:b@c", "http://[::1]:1", "a@b@c", "://", "http://%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseAddress(text)
		if err != nil {
			return
		}
		if again, err := ParseAddress(u.String()); err != nil || again.String() != u.String() {
			t.Errorf("%q is %v, which is %v, %v", text, u, again, err)
		}
	})
}
