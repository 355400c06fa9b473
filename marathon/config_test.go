package marathon

import (
	"net/url"
	"strings"
	"testing"

	"consular/marathon/transport"
)

func TestParseURLs(t *testing.T) {
	urls, err := ParseURLs("http://a:8080, https://u:p@[::1]/service/marathon,http://a/%40")
	if err != nil || len(urls) != 3 {
		t.Fatalf("%v, %v", urls, err)
	}
	if urls[0].Host != "a:8080" || urls[1].Host != "[::1]" || urls[1].Path != "/service/marathon" || urls[1].User == nil {
		t.Errorf("parsed %q", urls)
	}
}

func TestParseURLsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                      `marathon URL 1: "": must start with http:// or https://`,
		"marathon:8080":         `marathon URL 1: "marathon:8080": must start with http:// or https://`,
		"http://a,":             `marathon URL 2: "": must start with http:// or https://`,
		"http://a,ftp://b":      `marathon URL 2: "ftp://b": must start with http:// or https://`,
		"http://":               `marathon URL 1: "http://": host is missing`,
		"http://:8080":          `marathon URL 1: "http://:8080": host is missing`,
		"http://a:99999":        `marathon URL 1: "http://a:99999": 99999 is no port`,
		"http://a:http":         `marathon URL 1: "http://a:http": invalid port ":http" after host`,
		"http://a/?token=x":     `marathon URL 1: "http://a/?***": must not have a query or fragment`,
		"http://a/#x":           `marathon URL 1: "http://a/#***": must not have a query or fragment`,
		"http://a\x7f":          `marathon URL 1: "http://a\x7f": net/url: invalid control character in URL`,
		"http://u/s3cret@host":  "marathon URL 1: not usable (a special character in user or password must be %-escaped)",
		"http://u:s3/cret@host": "marathon URL 1: not usable (a special character in user or password must be %-escaped)",
	} {
		if _, err := ParseURLs(text); err == nil || err.Error() != want {
			t.Errorf("error of %q is %v\nwant %s", text, err, want)
		}
	}
}

func TestParseURLsKeepsSecrets(t *testing.T) {
	for _, password := range []string{"s3 cret", "s3#cret", "s3?cret", "s3/cret", "s3%cret", "s3%zzcret", "s3,cret", "s3@cret/", "s3[cret", "s3\ncret"} {
		_, err := ParseURLs("ftp://user:" + password + "@host")
		if err == nil || strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "cret") {
			t.Errorf("error of password %q is %v", password, err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	valid := Config{
		URLs: []*url.URL{{Scheme: "http", Host: "a"}}, Timeout: 1, MaxAnswer: 1, Transport: &transport.Transport{},
	}
	if err := valid.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Config){
		"marathon URL is missing":            func(c *Config) { c.URLs = nil },
		"marathon URL 1: host is missing":    func(c *Config) { c.URLs = []*url.URL{{Scheme: "http"}} },
		"marathon timeout 0s: must be more":  func(c *Config) { c.Timeout = 0 },
		"largest answer of 0 bytes: must be": func(c *Config) { c.MaxAnswer = 0 },
		"marathon transport is missing":      func(c *Config) { c.Transport = nil },
	} {
		c := valid
		change(&c)
		if _, err := NewClient(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}
