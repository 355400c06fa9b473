package consul

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestCheckServiceNamesTheField(t *testing.T) {
	good := Service{
		ID: "group_web.instance-1._app.1", Name: "group-web", Address: "10.0.0.1", Port: 65535,
		Meta: map[string]string{"marathon-app-id": strings.Repeat("ü", 256)},
	}
	for _, s := range []Service{
		good,
		with(good, func(s *Service) { s.Address = "" }), // where its node is
		with(good, func(s *Service) { s.Name = "not in/DNS ü" }),
	} {
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
	tooMany := map[string]string{}
	for i := range 65 {
		tooMany[fmt.Sprint("k", i)] = ""
	}
	for field, changes := range map[string][]func(*Service){
		"service id": {
			func(s *Service) { s.ID = "" }, func(s *Service) { s.ID = "." }, func(s *Service) { s.ID = ".." },
			func(s *Service) { s.ID = "a/b" }, func(s *Service) { s.ID = "a\n" }, func(s *Service) { s.ID = strings.Repeat("x", 1025) },
		},
		"service name": {
			func(s *Service) { s.Name = "" }, func(s *Service) { s.Name = "a\xffb" }, func(s *Service) { s.Name = "a\tb" },
		},
		"service address": {
			func(s *Service) { s.Address = "0.0.0.0" }, func(s *Service) { s.Address = "10.0.0.1:80" },
		},
		"service port": {func(s *Service) { s.Port = -1 }, func(s *Service) { s.Port = 65536 }},
		"service meta": {
			func(s *Service) { s.Meta = tooMany },
			func(s *Service) { s.Meta = map[string]string{"": ""} },
			func(s *Service) { s.Meta = map[string]string{"a.b": ""} },
			func(s *Service) { s.Meta = map[string]string{"consul-x": ""} },
			func(s *Service) { s.Meta = map[string]string{strings.Repeat("k", 129): ""} },
			func(s *Service) { s.Meta = map[string]string{"k": strings.Repeat("ü", 257)} },
			func(s *Service) { s.Meta = map[string]string{"k": "\xff"} },
		},
	} {
		for i, change := range changes {
			s := with(good, func(*Service) {})
			change(&s)
			if err := s.Check(); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s %d: %v", field, i, err)
			}
		}
	}
}

func TestCheckHost(t *testing.T) {
	for host, ok := range map[string]bool{
		"localhost": true, "slave_1.example.com": true, "a.b.": true, "10.0.0.1": true, "2001:db8::1": true, "::ffff:10.0.0.1": true,
		"": false, ".": false, "a..b": false, "-a": false, "a b": false, "[::1]": false, "host:80": false, "user@host": false, "host/path": false,
		"host?q": false, "host#f": false, "fe80::1%eth0": false, "0.0.0.0": false, "::": false, "::ffff:0.0.0.0": false, "a\n": false, "ü.example": false,
		strings.Repeat("a.", 127): false,
	} {
		if err := CheckHost(host); (err == nil) != ok {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestCheckLabel(t *testing.T) {
	for label, ok := range map[string]bool{
		"HAPROXY_0_VHOST": true, "a/b": true, "a b%#?": true, "ü": true, ".a": true, "...": true, "a / b": true, "a//b ": false,
		"a ": false, " a": false, "a\u00a0b": false, "a\u200bb": false, "a\u2028b": false, "\ufeffa": false, "a\u3000": false, "\U000e0001": false,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "a/../b": false, "a/./b": false, "a\tb": false, "a\x7fb": false, "\xff": false,
		strings.Repeat("x", 64<<10): false,
	} {
		if err := CheckLabel("web", label, ""); (err == nil) != ok {
			t.Errorf("%.20q: %v", label, err)
		}
	}
	if err := CheckLabel("web", "a", strings.Repeat("x", 512<<10)); err != nil {
		t.Error(err)
	}
	if err := CheckLabel("web", "a", strings.Repeat("x", 512<<10+1)); err == nil {
		t.Error("a value that Consul refuses")
	}
	if err := CheckLabel("a/b", "a", ""); err == nil {
		t.Error("a name of two segments")
	}
}

// Whatever a host may be, in a URL it is the host and nothing else.
func FuzzCheckHost(f *testing.F) {
	for _, seed := range []string{"localhost", "10.0.0.1", "::1", "a@b", "a/b", "a:1", "fe80::1%25a", "a?b", "a#b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if CheckHost(host) != nil {
			return
		}
		u, err := url.Parse("http://" + hostPort(&url.URL{Scheme: "http"}, host) + "/v1/kv")
		if err != nil || u.Hostname() != host || u.Port() != "80" || u.User != nil || u.Path != "/v1/kv" {
			t.Errorf("%q makes %v, %v", host, u, err)
		}
	})
}

// A key that passes is the one that Consul stores: its path is a clean one.
func FuzzCheckLabel(f *testing.F) {
	for _, seed := range []string{"a", "a/b", "a//b", "..", "a/../b", "%2e%2e", "\t", "a?b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, label string) {
		if CheckLabel("web", label, "") != nil {
			return
		}
		base := &url.URL{Scheme: "http", Host: "h", Path: "/v1/kv/p/web/" + label}
		if clean := base.JoinPath(); clean.Path != base.Path {
			t.Errorf("%q becomes %q", base.Path, clean.Path)
		}
	})
}
